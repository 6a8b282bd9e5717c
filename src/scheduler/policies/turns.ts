import type { AdapterSet, AdapterSetKey } from '../../domain/adapter-set.ts'

/**
 * Whose turn it is in a lane. llama.cpp applies one adapter set per step, and the step after a change of adapters
 * reserves its graph anew, so a set keeps the lane for `turnSteps` steps while others wait, then the set that has waited
 * longest goes on. A set therefore waits at most `(sets - 1) * turnSteps` steps.
 */
export class Turns {
  readonly #turnSteps: number
  #current: AdapterSetKey | null = null
  #stepsTaken = 0
  /** When each set that is still in the lane had its last step, or came to the lane, as a count of steps. */
  readonly #waitingSince = new Map<AdapterSetKey, number>()
  #steps = 0

  constructor (turnSteps: number) {
    this.#turnSteps = turnSteps
  }

  /**
   * Chooses among the sets that have work and counts the step that follows.
   * @param sets at least one; in order of arrival, which decides among sets that came at once.
   */
  next (sets: ReadonlyMap<AdapterSetKey, AdapterSet>): AdapterSet {
    for (const key of this.#waitingSince.keys()) if (!sets.has(key)) this.#waitingSince.delete(key)
    // A newcomer goes behind those that wait already; else a stream of newcomers could keep an old set waiting for ever.
    for (const key of sets.keys()) if (!this.#waitingSince.has(key)) this.#waitingSince.set(key, this.#steps)
    const current = this.#current === null ? undefined : sets.get(this.#current)
    const chosen = current !== undefined && (sets.size === 1 || this.#stepsTaken < this.#turnSteps)
      ? current
      : this.#longestWaiting(sets)
    if (chosen.key !== this.#current) {
      this.#current = chosen.key
      this.#stepsTaken = 0
    } else if (sets.size === 1) {
      this.#stepsTaken = 0
    }
    this.#stepsTaken++
    this.#waitingSince.set(chosen.key, ++this.#steps)
    return chosen
  }

  /** The set whose turn is over is left out, unless it is alone. */
  #longestWaiting (sets: ReadonlyMap<AdapterSetKey, AdapterSet>): AdapterSet {
    let chosen: AdapterSet | null = null
    let chosenSince = Infinity
    for (const [key, set] of sets) {
      if (key === this.#current && sets.size > 1) continue
      const since = this.#waitingSince.get(key) ?? this.#steps
      if (since < chosenSince) {
        chosen = set
        chosenSince = since
      }
    }
    if (chosen === null) throw new RangeError('There is no adapter set to choose from')
    return chosen
  }
}
