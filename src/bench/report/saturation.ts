import { medianOf } from '../measure/spread.ts'
import type { BenchReport, BenchRun, Saturation, ThroughputMeasure } from './bench-run.ts'
import { throughputMeasure, throughputUnits } from './throughput.ts'

/** One value of a sweep, as medians over its repetitions. */
interface Point {
  readonly value: number
  readonly throughput: number
  /** Requests per second by which those under way grew while requests came. */
  readonly backlogGrowth: number
  readonly failedShare: number
}

/** Within this of the best is as good as the best. */
const sameAsBest = 0.95
/** A server that leaves more than this share of what arrives for later falls behind. */
const tolerableGrowth = 0.05
const tolerableFailures = 0.01

/** Of each server that had a sweep. */
export function saturationsOf (runs: readonly BenchRun[]): BenchReport['saturation'] {
  const servers = [...new Set(runs.map(({ drawbridge }) => drawbridge.server))]
  return servers.flatMap((server) => {
    const own = runs.filter(({ drawbridge }) => drawbridge.server === server)
    const found = findSaturation(own, own.some(({ drawbridge }) => drawbridge.load.type === 'open') ? 'rate' : 'concurrency')
    return found === null ? [] : [{ server, ...found }]
  })
}

/**
 * Finds where more load gains nothing.
 * @param runs of one server, over at least two values of `axis`; null for fewer. Interrupted ones do not count.
 */
export function findSaturation (runs: readonly BenchRun[], axis: Saturation['axis']): Saturation | null {
  const whole = runs.filter(({ drawbridge }) => !drawbridge.was_interrupted)
  const measure = throughputMeasure(whole)
  const points = pointsOf(whole, axis, measure)
  if (points.length < 2) return null
  const best = Math.max(...points.map(({ throughput }) => throughput))
  if (best === 0) return { axis, at: null, measure, best, explanation: `Nothing was answered at any ${axis}` }
  return { axis, measure, best, ...(axis === 'concurrency' ? byConcurrency(points, best, throughputUnits[measure]) : byRate(points)) }
}

/** The least concurrency that gets (nearly) the best throughput; unless that is still the last one tried. */
function byConcurrency (points: readonly Point[], best: number, unit: string): Pick<Saturation, 'at' | 'explanation'> {
  const knee = points.find(({ throughput }) => throughput >= best * sameAsBest)
  const isLast = knee === undefined || knee === points.at(-1)
  return {
    at: isLast ? null : knee.value,
    explanation: isLast
      ? `Throughput still grew at concurrency ${points.at(-1)?.value}; try more`
      : `From concurrency ${knee.value} on, more gains less than ${Math.round((1 - sameAsBest) * 100)} % of ${unit} and only waits`
  }
}

/** The rate from which on the server keeps up with none. */
function byRate (points: readonly Point[]): Pick<Saturation, 'at' | 'explanation'> {
  const lastKept = points.findLastIndex(({ value, backlogGrowth, failedShare }) => backlogGrowth <= value * tolerableGrowth && failedShare <= tolerableFailures)
  const behind = points[lastKept + 1]
  const before = points[lastKept]
  return {
    at: behind?.value ?? null,
    explanation: behind === undefined
      ? `The server kept up with every rate, up to ${before?.value}/s; try more`
      : `The server falls behind from ${behind.value}/s on (the backlog grew by ${behind.backlogGrowth.toPrecision(2)}/s, ` +
        `${Math.round(behind.failedShare * 100)} % failed)${before === undefined ? '' : `; it kept up with ${before.value}/s`}`
  }
}

function pointsOf (runs: readonly BenchRun[], axis: Saturation['axis'], measure: ThroughputMeasure): readonly Point[] {
  const valueOf = (run: BenchRun): number | null => axis === 'concurrency' ? run.max_concurrency : run.request_rate === 'inf' ? null : run.request_rate
  const values = [...new Set(runs.map(valueOf))].filter((value) => value !== null).toSorted((a, b) => a - b)
  return values.map((value) => {
    const own = runs.filter((run) => valueOf(run) === value)
    const median = (of: (run: BenchRun) => number): number => medianOf(own.map(of))
    return {
      value,
      throughput: median((run) => run[measure]),
      backlogGrowth: median(backlogGrowthOf),
      failedShare: median((run) => run.num_prompts === 0 ? 0 : run.failed / run.num_prompts)
    }
  })
}

/**
 * How fast a server falls behind, in requests per second. While it keeps up, requests take as long at the end as in the middle; when
 * it does not, each takes longer than the one before. By Little's law the requests under way grow by the rate times the growth
 * of the latency: of the medians of the last quarter and the second one. Latencies are taken from the moment when a request was
 * meant to be sent, so waiting for `--max-concurrency` counts. Growth by less than two requests is chance.
 */
export function backlogGrowthOf (run: Pick<BenchRun, 'start_times' | 'latencies' | 'queue_times'>): number {
  const requests = run.start_times.map((sentAt, index) => {
    const waited = run.queue_times[index] ?? 0
    return { at: sentAt - waited, latency: (run.latencies[index] ?? 0) + waited }
  }).toSorted((a, b) => a.at - b.at)
  const seconds = (requests.at(-1)?.at ?? 0) - (requests[0]?.at ?? 0)
  if (requests.length < 8 || !(seconds > 0)) return 0
  const latencyOf = (quarter: number): number => medianOf(requests
    .slice(Math.floor(requests.length * quarter / 4), Math.floor(requests.length * (quarter + 1) / 4))
    .map(({ latency }) => latency))
  const grown = requests.length / seconds * (latencyOf(3) - latencyOf(1))
  return grown <= 2 ? 0 : grown / (seconds / 2)
}
