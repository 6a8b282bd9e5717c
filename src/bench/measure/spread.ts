/** Several measurements of one quantity. Medians, because a busy neighbour makes outliers in one direction only. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/**
 * The nearest-rank percentile.
 * @param sorted ascending, at least one member.
 * @param percent between 0 and 100.
 */
export function percentile (sorted: readonly number[] | Float64Array, percent: number): number {
  const rank = Math.ceil(percent / 100 * sorted.length)
  return sorted[Math.min(sorted.length, Math.max(1, rank)) - 1] ?? Number.NaN
}

/** Of at least one value; the median of an even count is the mean of the two in the middle. */
export function spreadOf (values: readonly number[]): Spread {
  const sorted = Float64Array.from(values).sort()
  const middle = sorted.length / 2
  const median = sorted.length % 2 === 1
    ? sorted[Math.floor(middle)]
    : ((sorted[middle - 1] ?? Number.NaN) + (sorted[middle] ?? Number.NaN)) / 2
  return { median: median ?? Number.NaN, min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN }
}
