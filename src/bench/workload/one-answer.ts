import { StartupError } from '../../domain/startup-error.ts'

/**
 * The latencies of a request are those of one answer.
 * @param place where the body comes from.
 * @throws StartupError for a request body that asks for several.
 */
export function throwIfSeveral (body: Readonly<Record<string, unknown>>, place: string): void {
  for (const field of ['n', 'best_of']) {
    const count = body[field]
    if (count !== undefined && count !== null && count !== 1) throw new StartupError(`${place} has ${field} ${JSON.stringify(count)}, but the bench asks for one answer at a time`)
  }
}
