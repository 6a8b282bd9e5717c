import type { BenchRun, ThroughputMeasure } from './bench-run.ts'

/** Less than this is no gain. */
const gain = 1.05

export const throughputUnits: Readonly<Record<ThroughputMeasure, string>> = { output_throughput: 'output tokens/s', request_throughput: 'requests/s' }

/** By what the runs of a server can be compared: requests where it does not tell the usage of all, since tokens are without those then. */
export function throughputMeasure (runs: readonly BenchRun[]): ThroughputMeasure {
  return runs.some(({ drawbridge }) => drawbridge.requests_without_usage > 0) ? 'request_throughput' : 'output_throughput'
}

/** Whether a server did more by 5 % in the newest runs than in any before. */
export function hasGained (before: readonly BenchRun[], newest: readonly BenchRun[]): boolean {
  const servers = new Set(newest.map(({ drawbridge }) => drawbridge.server))
  return [...servers].some((server) => {
    const isOwn = ({ drawbridge }: BenchRun): boolean => drawbridge.server === server
    const measure = throughputMeasure([...before, ...newest].filter(isOwn))
    const best = (runs: readonly BenchRun[]): number => Math.max(0, ...runs.filter(isOwn).map((run) => run[measure]))
    return best(newest) > best(before) * gain
  })
}

/** Requests per second that a server completes when it has all the work it can take: the slopes of the run make it look slow. */
export const capacityOf = ({ request_throughput: throughput, drawbridge: { steady } }: BenchRun): number => steady?.request_throughput || throughput
