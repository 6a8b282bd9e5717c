import type { Millis } from '../../domain/ids.ts'
import type { Random } from '../../domain/random.ts'

/** How requests come. */
export type LoadShape = ClosedLoop | OpenLoop

/** So many users, each sending its next request when the last one is answered: a slow server gets fewer requests. */
export interface ClosedLoop {
  readonly type: 'closed'
  readonly concurrency: number
}

/** Requests come at their own times, however slow the answers are. */
export interface OpenLoop {
  readonly type: 'open'
  /** Conversations per second, or the rate at the end of a ramp; Infinity sends all at once. */
  readonly rate: number
  /** The shape of the gamma distribution of gaps, as in vLLM: 1 is a Poisson process, less is more bursty, Infinity is regular. */
  readonly burstiness: number
  readonly ramp: { readonly form: 'linear' | 'exponential', readonly from: number } | null
  /** More are not under way at once; those beyond wait in the client. Null for no limit. */
  readonly maxConcurrency: number | null
}

/** When a run is over: no request is sent after that, and those under way are waited for. */
export type RunLimit = { readonly type: 'requests', readonly count: number } | { readonly type: 'duration', readonly ms: Millis }

export function describeLoad (shape: LoadShape): string {
  if (shape.type === 'closed') return `concurrency ${shape.concurrency}`
  const most = shape.maxConcurrency === null ? '' : `, at most ${shape.maxConcurrency} at once`
  if (shape.rate === Infinity) return `all at once${most}`
  const rate = shape.ramp === null ? `${shape.rate}/s` : `${shape.ramp.from} to ${shape.rate}/s (${shape.ramp.form})`
  const gaps = shape.burstiness === 1 ? 'Poisson' : shape.burstiness === Infinity ? 'regular' : `burstiness ${shape.burstiness}`
  return `${rate}, ${gaps}${most}`
}

export const describeLimit = (limit: RunLimit): string => limit.type === 'requests' ? `${limit.count} requests` : `${limit.ms / 1000} s`

/**
 * The moments of arrivals, in ms since the start, without end; the first comes after one gap.
 * A ramp goes from its start to `rate` within the limit: by time, or by the number of arrivals.
 */
export function * arrivalTimes (shape: OpenLoop, limit: RunLimit, random: Random): Generator<Millis> {
  let time = 0
  for (let count = 0; ; count++) {
    if (shape.rate !== Infinity) {
      const progress = limit.type === 'requests' ? count / limit.count : time / limit.ms
      time += gapOf(shape.burstiness, random) * 1000 / rateAt(shape, Math.min(1, progress))
    }
    yield time
  }
}

/** With a mean of 1. */
const gapOf = (burstiness: number, random: Random): number => burstiness === Infinity ? 1 : random.gamma(burstiness) / burstiness

function rateAt ({ rate, ramp }: OpenLoop, progress: number): number {
  if (ramp === null) return rate
  return ramp.form === 'linear' ? ramp.from + (rate - ramp.from) * progress : ramp.from * (rate / ramp.from) ** progress
}
