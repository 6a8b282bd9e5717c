import type { TimelinePoint } from '../report/bench-run.ts'
import type { RequestRecord } from './request-record.ts'

/**
 * The moments of a completed request's tokens: its tokens, as the server counted them, spread evenly over its chunks with output
 * (a chunk may have several), or all at its end when it was not streamed. Calls back with a moment in ms and a number of tokens.
 */
export function eachTokenTime (record: RequestRecord, call: (timeMs: number, tokens: number) => void): void {
  if (record.failure !== null || record.outputTokens === null) return
  const { outputTimes, outputTokens } = record
  if (outputTimes.length === 0) call(record.endedAt, outputTokens)
  for (const time of outputTimes) call(time, outputTokens / outputTimes.length)
}

/** What happened in each second of a run. */
export function timelineOf (records: readonly RequestRecord[], startMs: number, endMs: number): readonly TimelinePoint[] {
  const seconds = Math.max(1, Math.ceil((endMs - startMs) / 1000))
  const points = Array.from({ length: seconds }, (_, second) => ({ second, output_tokens: 0, completed: 0, failed: 0, running: 0 }))
  const at = (timeMs: number): typeof points[number] => points[Math.min(seconds - 1, Math.max(0, Math.floor((timeMs - startMs) / 1000)))]!
  for (const record of records) {
    eachTokenTime(record, (timeMs, tokens) => { at(timeMs).output_tokens += tokens })
    if (record.failure === null) at(record.endedAt).completed++
    else at(record.endedAt).failed++
    for (const point of points.slice(at(record.sentAt).second, at(record.endedAt).second + 1)) {
      const from = startMs + point.second * 1000
      const length = Math.min(1000, endMs - from)
      const overlap = Math.min(record.endedAt, from + length) - Math.max(record.sentAt, from)
      if (length > 0) point.running += Math.max(0, overlap) / length
    }
  }
  return points
}
