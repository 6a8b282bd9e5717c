import type { BenchRun, LatencyName } from '../bench-run.ts'

/** A point of a cumulative distribution: this share of all values is `value` or less. */
export interface DistributionPoint {
  readonly value: number
  readonly share: number
}

/** The latencies of all completed requests of some runs, in ms, sorted. Failed requests have none. */
export function pooledLatencies (runs: readonly BenchRun[]): Readonly<Record<LatencyName, Float64Array>> {
  const ttft: number[] = []
  const tpot: number[] = []
  const itl: number[] = []
  const e2el: number[] = []
  for (const run of runs) {
    run.latencies.forEach((latency, index) => {
      if ((run.errors[index] ?? '') !== '' || !(latency > 0)) return
      e2el.push(latency * 1000)
      const first = run.ttfts[index] ?? 0
      if (!run.drawbridge.is_streaming || !(first > 0)) return
      ttft.push(first * 1000)
      const tokens = run.output_lens[index] ?? 0
      if (tokens > 1) tpot.push((latency - first) * 1000 / (tokens - 1))
      for (const gap of run.itls[index] ?? []) itl.push(gap * 1000)
    })
  }
  return { ttft: sorted(ttft), tpot: sorted(tpot), itl: sorted(itl), e2el: sorted(e2el) }
}

/** The empirical distribution of sorted values, by at most so many points; both ends are among them. */
export function distribution (values: Float64Array, limit = 400): DistributionPoint[] {
  const count = Math.min(values.length, limit)
  const points: DistributionPoint[] = []
  for (let index = 0; index < count; index++) {
    const rank = count === values.length ? index : Math.round(index * (values.length - 1) / (count - 1))
    const value = values[rank] ?? 0
    // Equal values are one step, as high as the last of them.
    if (points.at(-1)?.value === value) points.pop()
    points.push({ value, share: (rank + 1) / values.length })
  }
  return points
}

function sorted (values: readonly number[]): Float64Array {
  return Float64Array.from(values.filter((value) => Number.isFinite(value))).sort()
}
