import type { Millis } from '../domain/ids.ts'

/** Upper bounds of the buckets for gaps between tokens, in seconds, as vLLM has them. */
export const gapBucketsSeconds: readonly number[] = [
  0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80
]

const boundsMs = Float64Array.from(gapBucketsSeconds, (seconds) => seconds * 1000)

/**
 * A histogram of gaps between tokens, counted where they occur: a few nanoseconds per token, and one merge per request
 * into the histogram that is scraped.
 */
export class GapCounts {
  /** One per bucket, the last one for gaps above all bounds; not cumulative. */
  readonly counts: Float64Array = new Float64Array(boundsMs.length + 1)
  sumMs = 0
  count = 0

  add (gapMs: Millis): void {
    let bucket = 0
    while (bucket < boundsMs.length && gapMs > (boundsMs[bucket] ?? 0)) bucket++
    this.counts[bucket] = (this.counts[bucket] ?? 0) + 1
    this.sumMs += gapMs
    this.count++
  }

  merge (other: GapCounts): void {
    for (const [bucket, count] of other.counts.entries()) this.counts[bucket] = (this.counts[bucket] ?? 0) + count
    this.sumMs += other.sumMs
    this.count += other.count
  }
}
