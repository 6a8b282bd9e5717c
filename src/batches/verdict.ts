import type { LineOutcome } from './batch-runner.ts'

/** What becomes of a line that was run: its answer is its result, or it is run again. */
export type Verdict =
  | { readonly type: 'done' }
  | { readonly type: 'again', readonly afterMs: number, readonly isAttempt: boolean }

/** How often a line is begun that fails by what may be its own fault. */
export const mostAttempts = 3

const shortestPauseMs = 1000
const longestPauseMs = 60_000

/** Errors of the server that another time may go well, or come again for the same line. */
const doubtful = ['engine_crashed', 'generation_timeout', 'request_timeout', 'request_aborted']

/** A server that is busy, or not ready, says nothing about a line; it is asked again until the batch expires. */
export function verdictOf ({ statusCode, errorCode, retryAfterMs }: Pick<LineOutcome, 'statusCode' | 'errorCode' | 'retryAfterMs'>, attempts: number): Verdict {
  const afterMs = Math.min(longestPauseMs, Math.max(shortestPauseMs, retryAfterMs ?? 0))
  if (statusCode === 429 || statusCode === 503) return { type: 'again', afterMs, isAttempt: false }
  if (errorCode !== null && doubtful.includes(errorCode) && attempts < mostAttempts) return { type: 'again', afterMs, isAttempt: true }
  return { type: 'done' }
}
