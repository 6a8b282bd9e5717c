import { Random } from '../../domain/random.ts'

/** How requests are spread over models. */
export const mixNames = ['round-robin', 'random', 'zipf'] as const
export type MixName = typeof mixNames[number]

/** Which of several each request goes to; number k always goes to the same. */
export interface Mix<T> {
  readonly items: readonly T[]
  /** The share of each, summing to 1. */
  readonly weights: readonly number[]
  pick (number: number): T
}

/** @param items at least one; with `zipf`, number k is asked for in proportion to 1/(k + 1). */
export function createMix<T> (name: MixName, items: readonly T[], seed: number): Mix<T> {
  if (name === 'round-robin') {
    return { items, weights: items.map(() => 1 / items.length), pick: (number) => items[number % items.length]! }
  }
  return weightedMix(items, items.map((_, index) => name === 'zipf' ? 1 / (index + 1) : 1), seed)
}

/** @param weights above 0, of any sum. */
export function weightedMix<T> (items: readonly T[], weights: readonly number[], seed: number): Mix<T> {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  return {
    items,
    weights: weights.map((weight) => weight / total),
    pick (number) {
      let left = new Random(seed).fork(number).uniform() * total
      const index = weights.findIndex((weight) => (left -= weight) < 0)
      return items.at(index)!
    }
  }
}

/** Shares out workers, one at least for each if there are enough, the rest by weight (largest remainder). */
export function shareOut (workers: number, weights: readonly number[]): readonly number[] {
  const total = weights.reduce((sum, weight) => sum + weight, 0)
  const exact = weights.map((weight) => workers * weight / total)
  const shares = exact.map((share) => Math.max(workers >= weights.length ? 1 : 0, Math.floor(share)))
  const byNeed = weights.map((_, index) => index)
  let left = workers - shares.reduce((sum, share) => sum + share, 0)
  while (left !== 0) {
    const step = Math.sign(left)
    byNeed.sort((a, b) => step * ((exact[b]! - shares[b]!) - (exact[a]! - shares[a]!)))
    const index = step > 0 ? byNeed[0]! : byNeed.find((candidate) => shares[candidate]! > 1) ?? byNeed[0]!
    shares[index]! += step
    left -= step
  }
  return shares
}
