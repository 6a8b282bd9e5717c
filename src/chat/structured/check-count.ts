import { unsupportedSchema } from './located-schema.ts'

/** Each repetition is an element of the grammar, or some `√n` of them where there are many. */
const maxCount = 100_000

/** @throws ServerError when a grammar cannot count so far */
export function checkCount (path: string | undefined, ...counts: readonly number[]): void {
  const count = counts.find((count) => count !== Infinity && count > maxCount)
  if (count !== undefined) throw unsupportedSchema(path ?? 'schema', `${count} is more than can be counted, which is ${maxCount}; leave out the limit`)
}
