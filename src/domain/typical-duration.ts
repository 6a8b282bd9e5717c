import type { Millis } from './ids.ts'

/** How much of the average is the latest measure, once there were enough of them. */
const newest = 0.1
/** What took longer than so many times the usual time was delayed by something else; no more than that counts. */
const mostTimesUsual = 2

/** What something takes on average, by measures of which the newer ones count more. */
export class TypicalDuration {
  #ms: Millis = 0
  #count = 0

  /** 0 before the first measure. */
  get ms (): Millis { return this.#ms }

  /** How often it was measured. */
  get count (): number { return this.#count }

  learn (durationMs: Millis): void {
    this.#count++
    const counted = this.#count === 1 ? durationMs : Math.min(durationMs, mostTimesUsual * this.#ms)
    this.#ms += Math.max(newest, 1 / this.#count) * (counted - this.#ms)
  }
}
