import type { Millis } from '../../domain/ids.ts'

/** Half of the slots are enough when steps of them draw this share of what steps of all slots draw in the same time, */
const enoughShare = 0.93
/** and stay so as long as it is not less than this. */
const tooSmallShare = 0.89
/** So many standard errors beyond what was measured. */
const certainty = 1
/** What steps of fewer sequences take follows other rules. */
const leastSequences = 4
/** Of so many steps one is made smaller than it could be, to see what that takes; more of them as long as too little is known. */
const trialEvery = 32
const firstTrialEvery = 8
/** So many trials come before half may be enough, and before it may be again. */
const firstTrials = 16
const furtherTrials = 4
/** How much of what is known of half is the latest trial's, once there were enough; and how much of the machine's pace is the latest step's. */
const newest = 0.05
const newestOfPace = 0.5
/** What took longer than so many times the usual time was delayed by something else; no more than that counts. */
const mostTimesUsual = 1.5
/** After so many steps without a full one, what is known is thought to be out of date. */
const outOfDateAfter = 16_384

/**
 * How many sequences at once are enough for a lane: all slots, or half of them. Where each takes its own time, as with small models on few cores, a
 * crowd gains nothing and makes steps long; where reading the weights is what takes the time, whoever comes along costs nothing, and only a full lane
 * is enough. Now and then a step that only decodes is cut in half to see what that takes.
 *
 * It is compared with the full steps just before it: what else runs on the machine makes it slower for a while, and is no matter of size. Since batch
 * work loses slots when half are enough, they have to be so beyond what chance may have made of the trials.
 */
export class StepFill {
  readonly #slots: number
  /** As many as are tried; all slots where half would be too few. */
  readonly #half: number
  /** What a full step takes at present; null before the first. */
  #fullMs: Millis | null = null
  /** What steps of half take, relative to full ones: the mean, its spread, and by how many trials. */
  #ratio = 0
  #variance = 0
  #trials = 0
  #candidates = 0
  #stepsSinceFull = 0
  #isHalfEnough = false

  constructor (slots: number) {
    this.#slots = slots
    const half = Math.ceil(slots / 2)
    this.#half = half < leastSequences ? slots : half
  }

  /** All slots as long as nothing is known. */
  get enough (): number { return this.#isHalfEnough ? this.#half : this.#slots }

  /**
   * To how many sequences the next step should be cut, to learn what such steps take; Infinity where it should not be.
   * @param sequences that it could decode
   * @param least that it has to decode
   */
  trialSize (sequences: number, least: number): number {
    if (sequences < this.#slots || least > this.#half || this.#half === this.#slots) return Infinity
    return ++this.#candidates % (this.#trials < firstTrials ? firstTrialEvery : trialEvery) === 0 ? this.#half : Infinity
  }

  /** A step that did nothing else decoded so many sequences, whose slots are neighbours, in this time. */
  learn (decodes: number, durationMs: Millis): void {
    if (decodes === this.#slots) {
      const known = this.#fullMs ?? durationMs
      this.#fullMs = known + newestOfPace * (Math.min(durationMs, mostTimesUsual * known) - known)
      this.#stepsSinceFull = 0
      return
    }
    this.#stepsSinceFull++
    // Only what comes right after a full step can be compared with it.
    if (decodes === this.#half && this.#stepsSinceFull === 1 && this.#fullMs !== null) this.#note(durationMs / this.#fullMs)
    if (this.#isHalfEnough && this.#stepsSinceFull >= outOfDateAfter) {
      this.#isHalfEnough = false
      this.#trials = Math.min(this.#trials, firstTrials - furtherTrials)
    }
  }

  #note (ratio: number): void {
    this.#trials++
    const weight = Math.max(newest, 1 / this.#trials)
    const difference = (this.#trials === 1 ? ratio : Math.min(ratio, mostTimesUsual * this.#ratio)) - this.#ratio
    this.#ratio += weight * difference
    this.#variance = (1 - weight) * (this.#variance + weight * difference ** 2)
    if (this.#trials < firstTrials) return
    const share = this.#half / this.#slots
    const error = Math.sqrt(this.#variance / Math.min(this.#trials, 2 / newest))
    this.#isHalfEnough = this.#isHalfEnough ? share >= tooSmallShare * this.#ratio : share >= enoughShare * (this.#ratio + certainty * error)
  }
}
