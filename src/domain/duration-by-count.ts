import type { Millis } from './ids.ts'
import { TypicalDuration } from './typical-duration.ts'

/** What something takes that is done for several at once, by how many: some of the numbers were measured, others lie between. */
export class DurationByCount {
  /** By the number; those that were never measured have a count of 0. */
  readonly #measures: TypicalDuration[] = []

  /** @param count at least 1 */
  learn (count: number, durationMs: Millis): void {
    while (this.#measures.length <= count) this.#measures.push(new TypicalDuration())
    this.#measures[count]!.learn(durationMs)
  }

  /** What was measured, or lies between what was measured of fewer and of more; null where nothing is known of as few or as many. */
  estimate (count: number): Millis | null {
    let more = count
    while (more < this.#measures.length && this.#measures[more]!.count === 0) more++
    if (more >= this.#measures.length) return null
    let fewer = count
    while (fewer > 0 && this.#measures[fewer]!.count === 0) fewer--
    if (fewer === 0) return null
    const moreMs = this.#measures[more]!.ms
    if (fewer === more) return moreMs
    const fewerMs = this.#measures[fewer]!.ms
    return fewerMs + (moreMs - fewerMs) * (count - fewer) / (more - fewer)
  }
}
