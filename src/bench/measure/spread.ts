import { quantile } from './latency-summary.ts'

/** Several measurements of one quantity. Medians, because a busy neighbour makes outliers in one direction only. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** Of at least one value. */
export function spreadOf (values: readonly number[]): Spread {
  const sorted = Float64Array.from(values).sort()
  return { median: quantile(sorted, 0.5), min: sorted[0] ?? Number.NaN, max: sorted.at(-1) ?? Number.NaN }
}

/** Of at least one value. */
export const medianOf = (values: readonly number[]): number => spreadOf(values).median
