import type { AdapterSet, AdapterSetKey } from '../../domain/adapter-set.ts'
import type { Millis } from '../../domain/ids.ts'
import type { PlanSize } from '../plan.ts'

/** A change of adapters should take no more than this share of a turn, */
const switchShare = 0.04
/** and must not take more than this, however long others wait. */
const mostSwitchShare = 0.2
/** A stream whose set is not the only one of its lane should get its next token within so long. */
const longestWaitMs: Millis = 250
/** Steps of a turn as long as nothing is known of durations. */
const firstSteps = 8
/** Weight of a new duration. */
const freshness = 0.2

/** What is known of a set that has work in the lane. */
interface Member {
  /** The step after which it had its last one, or came to the lane, as a count of steps. */
  waitingSince: number
  /** Steps it may take before others have their turn; one that read prompts counts as many as would have only decoded. Overdrawn below 0. */
  credit: number
  /** What its steps take that only decode; null before the first. */
  decodeMs: Millis | null
}

/**
 * Whose turn it is in a lane. llama.cpp applies one adapter set per step, and the step after a change of adapters reserves its
 * graph anew, which takes between a seventh and two thirds of a small model's step. So a set keeps the lane for a turn while others wait, then the set
 * that has waited longest goes on.
 *
 * Turns are deficit round robin (Shreedhar and Varghese, SIGCOMM 1995), counted in steps, so that all streams of a lane get the same
 * number of tokens: each gives a set the same credit, a step that read prompts takes as much of it as its time is worth, and what
 * was overdrawn is missing next time. A turn is as short as streams of the others want it, and as long as the measured cost of a change
 * makes sensible; never longer than `mostSteps`, so that a set waits at most `(sets - 1) * mostSteps` steps.
 */
export class Turns {
  readonly #mostSteps: number
  readonly #members = new Map<AdapterSetKey, Member>()
  #current: AdapterSetKey | null = null
  #stepsTaken = 0
  #steps = 0
  #switches = 0
  /** What a change of adapters adds to a step. */
  #switchMs: Millis | null = null
  /** What steps take that only decode, of whichever set. */
  #decodeMs: Millis | null = null

  constructor (mostSteps: number) {
    this.#mostSteps = mostSteps
  }

  /**
   * Chooses among the sets that have work and counts the step that follows.
   * @param sets at least one; in order of arrival, which decides among sets that came at once.
   */
  next (sets: ReadonlyMap<AdapterSetKey, AdapterSet>): AdapterSet {
    for (const key of this.#members.keys()) if (!sets.has(key)) this.#members.delete(key)
    // A newcomer goes behind those that wait already; else a stream of newcomers could keep an old set waiting for ever.
    for (const key of sets.keys()) {
      if (!this.#members.has(key)) this.#members.set(key, { waitingSince: this.#steps, credit: 0, decodeMs: null })
    }
    const current = this.#current === null ? undefined : sets.get(this.#current)
    const chosen = current !== undefined && (sets.size === 1 || this.#goesOn(current.key)) ? current : this.#longestWaiting(sets)
    const member = this.#members.get(chosen.key)!
    if (chosen.key !== this.#current) {
      if (this.#current !== null) this.#switches++
      this.#current = chosen.key
      this.#stepsTaken = 0
      member.credit = Math.max(-this.#mostSteps, Math.min(0, member.credit)) + this.turnSteps
    } else if (sets.size === 1) {
      // Nobody waits: what comes to the lane next finds a turn that has just begun.
      this.#stepsTaken = 0
      member.credit = this.turnSteps
    }
    this.#stepsTaken++
    member.credit--
    member.waitingSince = ++this.#steps
    return chosen
  }

  /** What came of the step that was chosen last. */
  learn ({ decodes, promptTokens, durationMs }: PlanSize & { readonly durationMs: Millis }): void {
    const member = this.#current === null ? undefined : this.#members.get(this.#current)
    if (member === undefined) return
    if (promptTokens > 0 || decodes === 0) {
      const usualMs = member.decodeMs ?? this.#decodeMs
      if (usualMs !== null && usualMs > 0) member.credit -= Math.max(0, durationMs / usualMs - 1)
      return
    }
    if (this.#stepsTaken > 1 || this.#members.size === 1) {
      member.decodeMs = blend(member.decodeMs, durationMs)
      this.#decodeMs = blend(this.#decodeMs, durationMs)
    } else if (member.decodeMs !== null) {
      this.#switchMs = blend(this.#switchMs, Math.max(0, durationMs - member.decodeMs))
    }
  }

  /** Steps with another set than the one before. */
  get switches (): number { return this.#switches }

  /** Steps of a turn at present. */
  get turnSteps (): number {
    if (this.#switchMs === null || this.#decodeMs === null || this.#decodeMs <= 0) return Math.min(firstSteps, this.#mostSteps)
    const others = Math.max(1, this.#members.size - 1)
    const wantedMs = Math.min(this.#switchMs / switchShare, longestWaitMs / others)
    const turnMs = Math.max(wantedMs, this.#switchMs / mostSwitchShare)
    return Math.max(1, Math.min(this.#mostSteps, Math.round(turnMs / this.#decodeMs)))
  }

  /** The credit is what is left of it after steps of the past; a turn has one step at least. */
  #goesOn (key: AdapterSetKey): boolean {
    const member = this.#members.get(key)
    return this.#stepsTaken < this.#mostSteps && member !== undefined && member.credit >= 1
  }

  /** The set whose turn is over is left out, unless it is alone. */
  #longestWaiting (sets: ReadonlyMap<AdapterSetKey, AdapterSet>): AdapterSet {
    let chosen: AdapterSet | null = null
    let chosenSince = Infinity
    for (const [key, set] of sets) {
      if (key === this.#current && sets.size > 1) continue
      const since = this.#members.get(key)?.waitingSince ?? this.#steps
      if (since < chosenSince) {
        chosen = set
        chosenSince = since
      }
    }
    if (chosen === null) throw new RangeError('There is no adapter set to choose from')
    return chosen
  }
}

const blend = (old: number | null, fresh: number): number => old === null ? fresh : old + (fresh - old) * freshness
