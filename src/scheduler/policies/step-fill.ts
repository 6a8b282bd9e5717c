import type { Millis } from '../../domain/ids.ts'

/** Half of the slots are enough when steps of them draw this share of what steps of all slots draw in the same time, */
const enoughShare = 0.93
/** and stay so as long as it is not less than this. */
const tooSmallShare = 0.89
/** So many standard errors beyond what was measured. */
const certainty = 1
/** What steps of fewer sequences take follows other rules. */
const leastSequences = 4
/** Of so many steps one is made smaller than it could be, to see what that takes; more of them as long as chance may decide. */
const trialEvery = 32
const trialEveryInDoubt = 8
/** In doubt is what lies within so many standard errors. */
const doubt = 2
/** So many trials come before half may be enough, and before it may be again. */
const firstTrials = 16
const furtherTrials = 4
/** How much of what is known of half is the latest trial's, once there were enough. */
const newest = 0.02
/** Of what took longer or shorter than so many times the usual time, something else delayed one or the other; no more than that counts. */
const mostTimesUsual = 1.5
/** After so many steps without a full one, what is known is thought to be out of date. */
const outOfDateAfter = 16_384

/**
 * How many sequences at once are enough for a lane: all slots, or half of them. Where each takes its own time, as with small models on few cores, a
 * crowd gains nothing and makes steps long; where reading the weights is what takes the time, whoever comes along costs nothing, and only a full lane
 * is enough. Now and then a step that only decodes is cut in half to see what that takes.
 *
 * It is compared with the full step just before it: what else runs on the machine makes it slower for a while, and is no matter of size. Since batch
 * work loses slots when half are enough, they have to be so beyond what chance may have made of the trials.
 */
export class StepFill {
  readonly #slots: number
  /** As many as are tried; all slots where half would be too few. */
  readonly #half: number
  /** What the latest full step took; null before the first. */
  #fullMs: Millis | null = null
  /**
   * What steps of half take, relative to full ones: the mean of the logarithms, for which it is no matter that full ones vary too; their spread, and
   * by how many trials.
   */
  #logRatio = 0
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
    return ++this.#candidates % (this.#isInDoubt ? trialEveryInDoubt : trialEvery) === 0 ? this.#half : Infinity
  }

  /** A step that did nothing else decoded so many sequences, whose slots are neighbours, in this time. */
  learn (decodes: number, durationMs: Millis): void {
    if (decodes === this.#slots) {
      this.#fullMs = durationMs
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

  get #share (): number { return this.#half / this.#slots }

  /** Of the mean of the logarithms. */
  get #standardError (): number { return Math.sqrt(this.#variance / Math.min(this.#trials, 2 / newest)) }

  get #isInDoubt (): boolean {
    return this.#trials < firstTrials || Math.abs(Math.log(this.#share / enoughShare) - this.#logRatio) < doubt * this.#standardError
  }

  #note (ratio: number): void {
    // The clock may have stood still.
    if (!(ratio > 0 && ratio < Infinity)) return
    this.#trials++
    const weight = Math.max(newest, 1 / this.#trials)
    const difference = this.#trials === 1 ? Math.log(ratio) : within(Math.log(ratio) - this.#logRatio, Math.log(mostTimesUsual))
    this.#logRatio += weight * difference
    this.#variance = (1 - weight) * (this.#variance + weight * difference ** 2)
    if (this.#trials < firstTrials) return
    this.#isHalfEnough = this.#isHalfEnough
      ? this.#share >= tooSmallShare * Math.exp(this.#logRatio)
      : this.#share >= enoughShare * Math.exp(this.#logRatio + certainty * this.#standardError)
  }
}

const within = (value: number, most: number): number => Math.max(-most, Math.min(most, value))
