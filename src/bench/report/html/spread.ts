import type { BenchRun, LatencyName, LatencySummary } from '../bench-run.ts'

/** The middle one, and the ends of what repetitions spread over. */
export interface Spread {
  readonly median: number
  readonly min: number
  readonly max: number
}

/** Of a measure over repetitions; null when none of them has it. */
export function spreadOf<Item> (items: readonly Item[], measure: (item: Item) => number | null): Spread | null {
  const values = items.map(measure).filter((value): value is number => Number.isFinite(value)).sort((a, b) => a - b)
  const middle = (values.length - 1) / 2
  const below = values[Math.floor(middle)]
  const above = values[Math.ceil(middle)]
  if (below === undefined || above === undefined) return null
  return { median: (below + above) / 2, min: values[0] ?? below, max: values.at(-1) ?? above }
}

export function medianOf<Item> (items: readonly Item[], measure: (item: Item) => number | null): number | null {
  return spreadOf(items, measure)?.median ?? null
}

/** A statistic of one of a run's latencies; null when the run has no such latencies. */
export function latencyOf (name: LatencyName, statistic: keyof LatencySummary): (run: BenchRun) => number | null {
  return ({ drawbridge: { latencies } }) => latencies[name].count > 0 ? latencies[name][statistic] : null
}
