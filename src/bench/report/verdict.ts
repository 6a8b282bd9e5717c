import type { BenchRun, Ratio } from './bench-run.ts'

/** A smaller difference matters to nobody. */
const smallestDifference = 0.02
/** Prompts that nobody asked before share a template's opening, no more. */
const mostCachedShare = 0.25

/**
 * Which of two servers is better by a measure, as seen in every pair of runs. Null when pairs disagree, when there is but one,
 * and when they differ by less than 2 %.
 */
export function betterOf ({ isHigherBetter, median, min, max, ratios }: Ratio): 'a' | 'b' | null {
  if (ratios.length < 2 || (min <= 1 && max >= 1) || Math.abs(median - 1) < smallestDifference) return null
  return (median > 1) === isHigherBetter ? 'b' : 'a'
}

/** The share of prompt tokens that a server had in a cache although nothing in the workload was asked twice; null when it is as it should be. */
export function suspiciousCacheShare ({ total_input_tokens: tokens, drawbridge: { asks_anew: asksAnew, cached_tokens: cached } }: BenchRun): number | null {
  return asksAnew && tokens > 0 && cached / tokens > mostCachedShare ? cached / tokens : null
}
