import type { Millis } from '../../domain/ids.ts'
import { TypicalDuration } from '../../domain/typical-duration.ts'

/** A step is full enough that draws this share of what a step of all slots draws in the same time. */
const enoughShare = 0.97
/** A size whose own steps draw less than this share of what steps of all slots do is too small, whatever it should draw. */
const leastMeasuredShare = 0.93
/** At least so much of the slots is used, and so many of them: what steps of fewer sequences take follows other rules. */
const leastShare = 0.25
const leastSequences = 4
/** Sizes are chosen in steps of a power of two, at most so many of them: those fill the tiles that matrices are multiplied in. */
const mostSizes = 8
/** A size is given up for the next one when it is off by more than this share of what is between them; half would be the nearest. */
const reluctance = 0.7
/** Of so many steps one is made smaller than it could be, to see what that takes; more of them in the beginning. */
const trialEvery = 32
const firstTrialEvery = 8
/** Each size is tried so often in the beginning. */
const firstTrials = 3
/** Of what is known of a size so many steps count. */
const mostWeight = 16
/** After so many steps without a full one, what is known of it is thought to be out of date. */
const outOfDateAfter = 4096

/**
 * How many sequences at once are enough for a lane. Where each takes its own time, as small models on a few cores, a crowd gains nothing
 * and makes steps long; where reading the weights is what takes the time, whoever comes along costs nothing, and only a full lane is
 * enough. What a step of n sequences takes is thought to be a + b n, fitted to those of the lane's own steps that only decode; now and
 * then one is made smaller for that. But where fewer leave gaps between their slots, which llama.cpp starts another pass at, or fill tiles less well, they are
 * slower than that: then it is more.
 */
export class StepFill {
  readonly #slots: number
  readonly #least: number
  /** Sizes are multiples of it, and all slots. */
  readonly #tile: number
  readonly #smallestSize: number
  readonly #measures = new Map<number, TypicalDuration>()
  #candidates = 0
  #trials = 0
  #stepsSinceFull = 0
  #enough: number

  constructor (slots: number) {
    this.#slots = slots
    this.#enough = slots
    this.#tile = 2 ** Math.max(0, Math.ceil(Math.log2(slots / mostSizes)))
    this.#least = Math.max(Math.min(slots, leastSequences), Math.ceil(slots * leastShare))
    this.#smallestSize = this.#tile * Math.ceil(this.#least / this.#tile)
  }

  /** All slots as long as nothing is known. */
  get enough (): number { return this.#enough }

  /**
   * To how many sequences the next step should be cut, to learn what such steps take; Infinity where it should not be.
   * @param sequences that it could decode
   * @param least that it has to decode
   */
  trialSize (sequences: number, least: number): number {
    const count = Math.max(1, Math.ceil((this.#slots - this.#smallestSize) / this.#tile))
    const every = this.#trials < firstTrials * count ? firstTrialEvery : trialEvery
    if (++this.#candidates % every !== 0) return Infinity
    const size = this.#smallestSize + this.#tile * (this.#trials++ % count)
    return size >= least && size < sequences ? size : Infinity
  }

  /** A step that did nothing else decoded so many sequences, in this time. */
  learn (decodes: number, durationMs: Millis): void {
    this.#stepsSinceFull = decodes === this.#slots ? 0 : this.#stepsSinceFull + 1
    if (decodes < this.#least || durationMs <= 0) return
    const measure = this.#measures.get(decodes) ?? new TypicalDuration()
    this.#measures.set(decodes, measure)
    measure.learn(durationMs)
    this.#enough = this.#choose()
  }

  #choose (): number {
    let size = this.#wanted()
    while (size < this.#slots && this.#measuredShare(size) < leastMeasuredShare) size = Math.min(size + this.#tile, this.#slots)
    return size
  }

  /** What steps of so many draw, relative to steps of all slots; 1 as long as that is not known. */
  #measuredShare (size: number): number {
    const [some, all] = [this.#measures.get(size), this.#measures.get(this.#slots)]
    if (some === undefined || all === undefined || Math.min(some.count, all.count) < firstTrials) return 1
    return size / some.ms / (this.#slots / all.ms)
  }

  #wanted (): number {
    const fit = this.#stepsSinceFull >= outOfDateAfter ? null : this.#fit()
    if (fit === null) return this.#slots
    const { stepMs, sequenceMs } = fit
    // From n / (stepMs + n sequenceMs) >= enoughShare slots / (stepMs + slots sequenceMs).
    const size = enoughShare * this.#slots * stepMs / (stepMs + (1 - enoughShare) * this.#slots * sequenceMs)
    // Each change takes slots from batch work, or gives them back: one between two sizes stays where it is.
    if (Math.abs(size - this.#enough) <= reluctance * this.#tile) return this.#enough
    const tiled = Math.max(this.#tile * Math.round(size / this.#tile), this.#smallestSize)
    // All slots are a size too, though they may fill no whole number of tiles.
    return Math.abs(this.#slots - size) < Math.abs(tiled - size) ? this.#slots : Math.min(this.#slots, tiled)
  }

  /** Least squares; null as long as not even a full step is known, and something smaller. */
  #fit (): { readonly stepMs: Millis, readonly sequenceMs: Millis } | null {
    if (!this.#measures.has(this.#slots) || this.#measures.size < 2) return null
    let [weights, meanSize, meanMs] = [0, 0, 0]
    for (const [size, { ms, count }] of this.#measures) {
      const weight = Math.min(count, mostWeight)
      weights += weight
      meanSize += weight * size
      meanMs += weight * ms
    }
    meanSize /= weights
    meanMs /= weights
    let [spread, together] = [0, 0]
    for (const [size, { ms, count }] of this.#measures) {
      const weight = Math.min(count, mostWeight)
      spread += weight * (size - meanSize) ** 2
      together += weight * (size - meanSize) * (ms - meanMs)
    }
    const sequenceMs = Math.max(0, together / spread)
    return { stepMs: Math.max(0, meanMs - sequenceMs * meanSize), sequenceMs }
  }
}
