import { isDeeperThan, mostLevels } from '../domain/is-deeper-than.ts'

/** The arguments of a call as an object; null for text that is no JSON object, or one of more levels than templates can write. */
export function argumentObject (text: string): object | null {
  try {
    const value: unknown = JSON.parse(text)
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
    return isObject && !isDeeperThan(value, mostLevels) ? value : null
  } catch {
    return null
  }
}
