import type { Millis } from '../../domain/ids.ts'
import type { Failure } from '../client/failure.ts'

/** One request of a run. Moments are milliseconds since the run began. */
export interface RequestRecord {
  readonly model: string
  /** Null without tenants. */
  readonly tenant: string | null
  /** The workload's word for requests of this sort. */
  readonly kind: string
  /** When it was meant to be sent; the same as `sentAt` in a closed loop. */
  readonly scheduledAt: Millis
  readonly sentAt: Millis
  readonly endedAt: Millis
  /** When each chunk with output of the first choice came; empty for answers that are not streamed. */
  readonly outputTimes: readonly Millis[]
  /** From the server's usage; null where it told none. */
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  readonly cachedTokens: number
  readonly text: string
  readonly choiceCount: number
  /** Null when it completed. */
  readonly failure: Failure | null
}

export const hasCompleted = (record: RequestRecord): boolean => record.failure === null

/** From sending to the first output, in ms; null without output, or where the answer came in one piece. */
export const ttftOf = ({ sentAt, outputTimes }: Pick<RequestRecord, 'sentAt' | 'outputTimes'>): Millis | null =>
  outputTimes[0] === undefined ? null : outputTimes[0] - sentAt

/** From sending to the last byte, in ms. */
export const e2elOf = ({ sentAt, endedAt }: RequestRecord): Millis => endedAt - sentAt

/** Mean time per output token after the first, in ms; null for answers of one token where usage or TTFT is missing, and of several choices, whose usage is one number. */
export function tpotOf (record: RequestRecord): Millis | null {
  const ttft = ttftOf(record)
  if (ttft === null || record.outputTokens === null || record.outputTokens < 2 || record.choiceCount > 1) return null
  return (e2elOf(record) - ttft) / (record.outputTokens - 1)
}

/** Gaps between successive chunks with output, in ms. */
export function itlsOf ({ outputTimes }: Pick<RequestRecord, 'outputTimes'>): Millis[] {
  const gaps: Millis[] = []
  for (let index = 1; index < outputTimes.length; index++) gaps.push(outputTimes[index]! - outputTimes[index - 1]!)
  return gaps
}
