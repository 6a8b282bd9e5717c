import type { LatencySummary } from '../report/bench-run.ts'

/**
 * Quantiles as numpy and vLLM compute them: linear between the two nearest values.
 * @param sorted ascending; 0 is returned for none.
 * @param share 0 to 1.
 */
export function quantile (sorted: ArrayLike<number>, share: number): number {
  const position = share * (sorted.length - 1)
  const below = sorted[Math.floor(position)] ?? 0
  const above = sorted[Math.ceil(position)] ?? 0
  return below + (above - below) * (position - Math.floor(position))
}

/** @param values in ms, in any order. The standard deviation is the population's, as numpy's. */
export function summarizeLatencies (values: readonly number[]): LatencySummary {
  const sorted = Float64Array.from(values).sort()
  const count = sorted.length
  if (count === 0) return { count, mean: 0, median: 0, std: 0, p50: 0, p90: 0, p95: 0, p99: 0, max: 0 }
  const mean = sorted.reduce((sum, value) => sum + value, 0) / count
  const variance = sorted.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count
  const p50 = quantile(sorted, 0.5)
  return {
    count,
    mean,
    median: p50,
    std: Math.sqrt(variance),
    p50,
    p90: quantile(sorted, 0.9),
    p95: quantile(sorted, 0.95),
    p99: quantile(sorted, 0.99),
    max: sorted[count - 1] ?? 0
  }
}
