import { spreadOf as spreadOfValues, type Spread } from '../../measure/spread.ts'
import type { BenchRun, LatencyName, LatencySummary } from '../bench-run.ts'

/** Of a measure over repetitions; null when none of them has it. */
export function spreadOf<Item> (items: readonly Item[], measure: (item: Item) => number | null): Spread | null {
  const values = items.map(measure).filter((value): value is number => Number.isFinite(value))
  return values.length === 0 ? null : spreadOfValues(values)
}

export function medianOf<Item> (items: readonly Item[], measure: (item: Item) => number | null): number | null {
  return spreadOf(items, measure)?.median ?? null
}

/** A statistic of one of a run's latencies; null when the run has no such latencies. */
export function latencyOf (name: LatencyName, statistic: keyof LatencySummary): (run: BenchRun) => number | null {
  return ({ drawbridge: { latencies } }) => latencies[name].count > 0 ? latencies[name][statistic] : null
}
