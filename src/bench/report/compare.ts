import { medianOf, spreadOf } from '../measure/spread.ts'
import { type BenchRun, type Comparison, latencyNames, type Ratio } from './bench-run.ts'

interface Measure {
  readonly name: string
  readonly isHigherBetter: boolean
  /** Null when the run has no such measure. */
  readonly of: (run: BenchRun) => number | null
}

const measures: readonly Measure[] = [
  { name: 'output_throughput', isHigherBetter: true, of: (run) => run.output_throughput },
  { name: 'steady_output_throughput', isHigherBetter: true, of: (run) => run.drawbridge.steady?.output_throughput ?? null },
  { name: 'request_throughput', isHigherBetter: true, of: (run) => run.request_throughput },
  { name: 'request_goodput', isHigherBetter: true, of: (run) => run.request_goodput },
  ...latencyNames.flatMap((latency): readonly Measure[] => (['mean', 'p50', 'p99'] as const).map((statistic) => ({
    name: `${statistic}_${latency}_ms`,
    isHigherBetter: false,
    of: ({ drawbridge: { latencies: { [latency]: summary } } }) => summary.count === 0 ? null : summary[statistic]
  })))
]

/**
 * Ratios of two servers' runs, b / a. Runs are paired by load and repetition, so that what happened to the machine meanwhile
 * fell on both; measures that a run lacks, or that are 0 in `a`, are left out, and so are interrupted runs.
 */
export function compareRuns (a: readonly BenchRun[], b: readonly BenchRun[]): Comparison {
  const descriptions = [...new Set(a.map(({ drawbridge }) => drawbridge.load.description))]
  const loads = descriptions.map((description) => {
    const runsOf = (runs: readonly BenchRun[]): readonly BenchRun[] => runs
      .filter(({ drawbridge }) => drawbridge.load.description === description && !drawbridge.was_interrupted)
      .toSorted((first, second) => first.drawbridge.repetition - second.drawbridge.repetition)
    const runsOfB = [...runsOf(b)]
    const pairs = runsOf(a).flatMap((run) => {
      const index = runsOfB.findIndex(({ drawbridge }) => drawbridge.repetition === run.drawbridge.repetition)
      return index === -1 ? [] : runsOfB.splice(index, 1).map((other) => [run, other] as const)
    })
    return { description, ratios: measures.flatMap((measure) => ratioOf(measure, pairs)) }
  })
  return { a: nameOf(a), b: nameOf(b), differences: [], loads: loads.filter(({ ratios }) => ratios.length > 0) }
}

const nameOf = (runs: readonly BenchRun[]): string => runs[0]?.drawbridge.server ?? ''

function ratioOf ({ name, isHigherBetter, of }: Measure, pairs: readonly (readonly [BenchRun, BenchRun])[]): readonly Ratio[] {
  const values = pairs.flatMap(([a, b]) => {
    const ofA = of(a)
    const ofB = of(b)
    return ofA === null || ofB === null || ofA === 0 ? [] : [{ a: ofA, b: ofB, ratio: ofB / ofA }]
  })
  if (values.length === 0) return []
  const ratios = values.map(({ ratio }) => ratio)
  return [{
    measure: name,
    isHigherBetter,
    a: medianOf(values.map((value) => value.a)),
    b: medianOf(values.map((value) => value.b)),
    ratios,
    ...spreadOf(ratios)
  }]
}
