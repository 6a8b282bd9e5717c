import type { Millis } from '../../domain/ids.ts'

/**
 * How much of a measure is the latest step's: much of a faster one, little of a slower one. What comes out is what steps take that
 * nothing else delays; others are no measure of what tokens cost.
 */
const newestFaster = 0.3
const newestSlower = 0.05
/** A size is known after so many steps, of which the fastest counts: something else may have delayed the others. */
const firstSteps = 3
/** A step that took longer than so many times its usual time was delayed by something else; no more than that counts. */
const mostTimesUsual = 3
/** A size that is not known yet is thought to take at most so much more per token than a known one: little, so that it is tried. */
const unknownShare = 0.25
/** What is known of a size counts so much less each time that it was passed over: by now it may be cheaper, and is tried again. */
const fading = 0.999

interface Cost {
  ms: Millis
  steps: number
}

/**
 * What steps that only decode take, by how many tokens are in them: on a CPU two tokens take two or three times as long as one, on a
 * GPU hardly longer. One per lane, learned from its own steps.
 */
export class StepCosts {
  readonly #costs = new Map<number, Cost>()

  /**
   * What a step of `tokens` tokens takes; null when one of `known` tokens, no more of them, was never measured. A size that is not
   * known is hoped to be cheap, in the light of the next smaller one that is: costs may leap from one token to two and hardly
   * rise from there on.
   */
  estimate (tokens: number, known: number): Millis | null {
    const cost = this.#costs.get(tokens)
    if (cost !== undefined && (cost.steps >= firstSteps || tokens === known)) return cost.ms
    const from = this.#costs.get(known)
    if (from === undefined) return null
    const hopedTokenMs = from.ms / known * unknownShare
    const smaller = this.#nextSmaller(tokens, known)
    if (smaller === null) return from.ms + hopedTokenMs * (tokens - known)
    const least = Math.max(from.ms, smaller.ms)
    const tokenMs = Math.min(hopedTokenMs, (least - from.ms) / (smaller.tokens - known))
    return Math.max(least, from.ms + tokenMs * (tokens - known))
  }

  learn (tokens: number, durationMs: Millis): void {
    const cost = this.#costs.get(tokens)
    if (cost === undefined) {
      this.#costs.set(tokens, { ms: durationMs, steps: 1 })
      return
    }
    cost.steps++
    if (cost.steps <= firstSteps) cost.ms = Math.min(cost.ms, durationMs)
    else if (durationMs < cost.ms) cost.ms += newestFaster * (durationMs - cost.ms)
    else cost.ms += newestSlower * (Math.min(durationMs, mostTimesUsual * cost.ms) - cost.ms)
  }

  /** A step of this size was thought about, and another was chosen. */
  passOver (tokens: number): void {
    const cost = this.#costs.get(tokens)
    if (cost !== undefined) cost.ms *= fading
  }

  #nextSmaller (tokens: number, than: number): { readonly tokens: number, readonly ms: Millis } | null {
    let next: { readonly tokens: number, readonly ms: Millis } | null = null
    for (const [size, { ms, steps }] of this.#costs) {
      if (steps >= firstSteps && size > than && size < tokens && size > (next?.tokens ?? 0)) next = { tokens: size, ms }
    }
    return next
  }
}
