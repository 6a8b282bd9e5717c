import type { Millis } from '../../domain/ids.ts'

/** So many steps with the present number are remembered to compare others with. */
const remembered = 9
/** Another number is tried once there are this many. */
const leastRemembered = 3
/** A trial is this many steps; it ends early when one of them is hopeless. */
const trialSteps = 3
/** Another number of threads must be so much faster. */
const worthIt = 0.85
/** A trial's step that takes so much longer than those before it decides. */
const hopeless = 1.5
/** Trials cost at most this share of the time. */
const costShare = 0.01
const shortestPauseMs: Millis = 2000
const longestPauseMs: Millis = 300_000

interface Step {
  readonly decodes: number
  readonly durationMs: Millis
}

/**
 * With how many threads a lane computes. More are faster as long as each has a core of its own. When another program takes one,
 * llama.cpp's threads wait for each other at barriers, spinning, and a step takes up to hundreds of times as long; fewer
 * threads are then faster. Nothing tells whether the cores are free but the durations of steps: so now and then another number, half
 * or twice as many, is tried for a few steps that only decode, and kept when they were clearly shorter.
 *
 * A trial that went badly is repeated the later the more it cost: at most a hundredth of the time goes into trials.
 */
export class ThreadCount {
  readonly #most: number
  #current: number
  /** The latest steps with the present number. */
  readonly #steps: Step[] = []
  /** What is being tried; null when nothing is. */
  #trial: { readonly threads: number, readonly ratios: number[], costMs: Millis } | null = null
  #nextTrialAt: Millis = -Infinity
  #triesMore = false

  constructor (most: number) {
    this.#most = most
    this.#current = most
  }

  /** Whether the next step is part of a trial: it should be like those before it. */
  get isTrying (): boolean { return this.#trial !== null }

  /** For the next step that only decodes: trials are made of those. */
  get threads (): number { return this.#trial?.threads ?? this.#current }

  /** For any other step: prompts may take long, and tell nothing. */
  get proven (): number { return this.#current }

  /** A step with {@link threads} took so long, and ended now. */
  learn (step: Step & { readonly promptTokens: number }, now: Millis): void {
    if (this.#most === 1 || step.promptTokens > 0 || step.decodes === 0) return
    if (this.#trial !== null) {
      this.#judge(step, now)
      return
    }
    this.#steps.push({ decodes: step.decodes, durationMs: step.durationMs })
    if (this.#steps.length > remembered) this.#steps.shift()
    if (now < this.#nextTrialAt || this.#expected(step.decodes) === null) return
    const threads = this.#candidate()
    this.#trial = { threads, ratios: [], costMs: 0 }
  }

  /** Half as many and twice as many in turn, where there are both. */
  #candidate (): number {
    this.#triesMore = this.#current === 1 || (this.#current < this.#most && !this.#triesMore)
    return this.#triesMore ? Math.min(this.#most, this.#current * 2) : Math.floor(this.#current / 2)
  }

  #judge ({ decodes, durationMs }: Step, now: Millis): void {
    const trial = this.#trial!
    const expectedMs = this.#expected(decodes)
    if (expectedMs === null) {
      // It is another load by now; there is nothing to compare with.
      this.#end(now + shortestPauseMs)
      return
    }
    trial.costMs += Math.max(0, durationMs - expectedMs)
    trial.ratios.push(durationMs / expectedMs)
    // The first step after a change is not like the others.
    const isHopeless = durationMs > expectedMs * hopeless && trial.ratios.length > 1
    const isRuinous = durationMs > expectedMs * hopeless * 4
    if (!isHopeless && !isRuinous && trial.ratios.length < trialSteps) return
    if (median(trial.ratios) < worthIt) {
      this.#current = trial.threads
      this.#steps.length = 0
      this.#end(now + shortestPauseMs)
      return
    }
    this.#end(now + Math.min(longestPauseMs, Math.max(shortestPauseMs, trial.costMs / costShare)))
  }

  #end (nextTrialAt: Millis): void {
    this.#trial = null
    this.#nextTrialAt = nextTrialAt
  }

  /** What a step with so many sequences takes with the present number; null when there were too few like it. */
  #expected (decodes: number): Millis | null {
    const alike = this.#steps.filter((step) => Math.abs(step.decodes - decodes) <= Math.max(0, Math.floor(decodes / 4)))
    return alike.length < leastRemembered ? null : median(alike.map(({ durationMs, decodes: count }) => durationMs * decodes / count))
  }
}

/** A lane has fewer threads while other lanes have work too, and learns for each number of them by itself. */
export class ThreadCounts {
  readonly #counts = new Map<number, ThreadCount>()

  /** What is known of computing with at most so many. */
  upTo (most: number): ThreadCount {
    let count = this.#counts.get(most)
    if (count === undefined) this.#counts.set(most, count = new ThreadCount(most))
    return count
  }
}

function median (values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]!
}
