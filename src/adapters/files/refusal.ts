import { ServerError } from '../../domain/errors.ts'

/** Makes the error for something that is wrong with a file, out of the end of a sentence about it (`is truncated: …`). */
export type Refuse = (problem: string, cause?: unknown) => ServerError

/** What is wrong with an adapter, under the path that the caller knows it by. */
export const adapterRefusal = (path: string): Refuse =>
  (problem, cause) => new ServerError('invalid_adapter', `The adapter ${path} ${problem}`, { cause })

/** Text out of a file, made fit for a message: no control characters, and not endless. */
export function printable (text: string): string {
  const clean = [...text.slice(0, 200)].map((character) => /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/u.test(character) ? '\uFFFD' : character).join('')
  return clean.length < text.length ? `${clean}…` : clean
}
