import type { BenchDetails } from '../report/bench-run.ts'
import { e2elOf, type RequestRecord } from './request-record.ts'
import { medianOf } from './spread.ts'
import { eachTokenTime } from './timeline.ts'

/** A part shorter than this says little. */
const shortestMs = 1000

/**
 * Rates without the slopes at both ends of a run: up to the sending of the last request, in a closed loop from the first moment when
 * nearly all users waited for an answer, in an open one from a median answer's time after the first request. (Beginning at a peak
 * of random arrivals would count the answers of the peak.)
 * @returns null when that part is shorter than a second.
 */
export function steadyPart (records: readonly RequestRecord[], isOpenLoop: boolean, maxRunning: number, lastSentAt: number): BenchDetails['steady'] {
  const start = isOpenLoop ? afterFirstAnswers(records) : fullLoadAt(records, maxRunning)
  if (start === null || lastSentAt - start < shortestMs) return null
  let tokens = 0
  let requests = 0
  for (const record of records) {
    eachTokenTime(record, (timeMs, count) => { if (timeMs > start && timeMs <= lastSentAt) tokens += count })
    if (record.failure === null && record.endedAt > start && record.endedAt <= lastSentAt) requests++
  }
  const seconds = (lastSentAt - start) / 1000
  return { seconds, output_throughput: tokens / seconds, request_throughput: requests / seconds }
}

function afterFirstAnswers (records: readonly RequestRecord[]): number | null {
  const [first] = records
  if (first === undefined) return null
  return first.sentAt + medianOf(records.map(e2elOf))
}

function fullLoadAt (records: readonly RequestRecord[], maxRunning: number): number | null {
  const changes = records.flatMap(({ sentAt, endedAt }) => [{ at: sentAt, by: 1 }, { at: endedAt, by: -1 }])
    .sort((a, b) => a.at - b.at || a.by - b.by)
  let running = 0
  for (const { at, by } of changes) {
    running += by
    if (running >= maxRunning * 0.9) return at
  }
  return null
}
