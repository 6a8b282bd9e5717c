import { afterTaking, levelOf, waitMicros } from './bucket.ts'
import type { SubjectLimits } from './subjects.ts'
import type { EffectiveLimits, LimitName } from '../../domain/limits.ts'
import { endOfPeriod } from './periods.ts'

/** What a subject has used, and holds. Times are microseconds since 1970. */
export interface SubjectState {
  requestsFullAt: number
  tokensFullAt: number
  /** Requests that hold a reservation, and what they may use in all. */
  running: number
  reservedTokens: number
  reservedCost: number
  readonly spentToday: Amount
  readonly spentThisMonth: Amount
}

export interface Amount {
  readonly tokens: number
  readonly cost: number
}

/** A request that wants to run. */
export interface Ask {
  /** Of the run; no two have the same. */
  readonly id: string
  readonly subjects: readonly SubjectLimits[]
  /** What it will use at most, as far as that is known. */
  readonly tokens: number
  readonly cost: number
  /** Whether it is made when there is time, so that neither the minute nor what else runs matters. */
  readonly isBatch: boolean
}

export interface Refusal {
  readonly limit: LimitName
  readonly subject: string
  /** What the limit is, and what of it is gone. */
  readonly most: number
  readonly used: number
  readonly asked: number
  /** Milliseconds until it would be let in, as far as that is known; null where a budget is used up. */
  readonly retryAfterMs: number | null
  /** Milliseconds since 1970: when a budget begins anew. */
  readonly resetsAt: number | null
}

/** State of a bucket, as clients are told. */
export interface Rate {
  readonly limit: number
  readonly remaining: number
  /** Until it is full. */
  readonly resetMs: number
}

export interface Rates {
  readonly requests: Rate | null
  readonly tokens: Rate | null
}

/** Where a bucket's request may use more than it holds, it takes all of it. */
export const tokensToTake = (tokens: number, perMinute: number): number => Math.min(tokens, perMinute)

/** Whether others may have to do with what is left; what is of each request by itself nobody has to look up. */
export const isShared = ({ requestsPerMinute, tokensPerMinute, ...others }: EffectiveLimits): boolean =>
  requestsPerMinute !== undefined || tokensPerMinute !== undefined || hasReservation(others)

/** Whether something waits for the end of a run. */
export const hasReservation = ({ concurrentRequests, tokensPerDay, tokensPerMonth, costPerDay, costPerMonth }: EffectiveLimits): boolean =>
  [concurrentRequests, tokensPerDay, tokensPerMonth, costPerDay, costPerMonth].some((limit) => limit !== undefined)

/** Requests that are under way end at any time; who waits for one looks again soon. */
const soonMs = 1000

/**
 * Whether a request may run, as the limits of all its subjects have it; if so, its part is taken from their states.
 * @param now microseconds since 1970
 * @returns why not
 */
export function admit ({ subjects, tokens, cost, isBatch }: Ask, stateOf: (subject: string) => SubjectState, now: number): Refusal | null {
  const refusals: Refusal[] = []
  for (const { subject, limits } of subjects) {
    const state = stateOf(subject)
    refusals.push(...budgetRefusals(subject, limits, state, tokens, cost, now))
    if (isBatch) continue
    const { requestsPerMinute, tokensPerMinute, concurrentRequests } = limits
    if (concurrentRequests !== undefined && state.running >= concurrentRequests) {
      refusals.push({ limit: 'concurrentRequests', subject, most: concurrentRequests, used: state.running, asked: 1, retryAfterMs: soonMs, resetsAt: null })
    }
    const buckets = [['requestsPerMinute', requestsPerMinute, state.requestsFullAt, 1], ['tokensPerMinute', tokensPerMinute, state.tokensFullAt, tokens]] as const
    for (const [limit, perMinute, fullAt, asked] of buckets) {
      if (perMinute === undefined) continue
      const wait = waitMicros(fullAt, now, asked, perMinute)
      if (wait > 0) refusals.push({ limit, subject, most: perMinute, used: perMinute - levelOf(fullAt, now, perMinute), asked, retryAfterMs: Math.ceil(wait / 1000), resetsAt: null })
    }
  }
  const waitOf = ({ retryAfterMs }: Refusal): number => retryAfterMs ?? Infinity
  // The one that takes longest, since whoever waits for it has waited for the others.
  const [first, ...others] = refusals
  if (first !== undefined) return others.reduce((longest, next) => waitOf(next) > waitOf(longest) ? next : longest, first)
  for (const { subject, limits } of subjects) take(stateOf(subject), limits, tokens, cost, isBatch, now)
  return null
}

function * budgetRefusals (subject: string, limits: EffectiveLimits, state: SubjectState, tokens: number, cost: number, now: number): Iterable<Refusal> {
  const budgets = [
    ['tokensPerDay', 'day', state.spentToday.tokens, state.reservedTokens, tokens],
    ['tokensPerMonth', 'month', state.spentThisMonth.tokens, state.reservedTokens, tokens],
    ['costPerDay', 'day', state.spentToday.cost, state.reservedCost, cost],
    ['costPerMonth', 'month', state.spentThisMonth.cost, state.reservedCost, cost]
  ] as const
  for (const [limit, period, spent, reserved, asked] of budgets) {
    const most = limits[limit]
    if (most === undefined) continue
    const isUsedUp = spent >= most || spent + asked > most
    // What others hold may come back when they end.
    if (isUsedUp || spent + reserved + asked > most) {
      yield { limit, subject, most, used: isUsedUp ? spent : spent + reserved, asked, retryAfterMs: isUsedUp ? null : soonMs, resetsAt: endOfPeriod(period, now) }
    }
  }
}

function take (state: SubjectState, limits: EffectiveLimits, tokens: number, cost: number, isBatch: boolean, now: number): void {
  const { requestsPerMinute, tokensPerMinute } = limits
  if (!isBatch && requestsPerMinute !== undefined) state.requestsFullAt = afterTaking(state.requestsFullAt, now, 1, requestsPerMinute)
  if (!isBatch && tokensPerMinute !== undefined) state.tokensFullAt = afterTaking(state.tokensFullAt, now, tokensToTake(tokens, tokensPerMinute), tokensPerMinute)
  if (!hasReservation(limits)) return
  if (!isBatch) state.running += 1
  state.reservedTokens += tokens
  state.reservedCost += cost
}

/** What clients are told of their buckets: of several subjects the one that has the least left. */
export function ratesOf (subjects: readonly SubjectLimits[], stateOf: (subject: string) => SubjectState, now: number): Rates {
  const least = (name: 'requestsPerMinute' | 'tokensPerMinute', member: 'requestsFullAt' | 'tokensFullAt'): Rate | null => {
    let found: Rate | null = null
    for (const { subject, limits } of subjects) {
      const limit = limits[name]
      if (limit === undefined) continue
      const fullAt = stateOf(subject)[member]
      const rate = { limit, remaining: levelOf(fullAt, now, limit), resetMs: Math.ceil(Math.max(0, fullAt - now) / 1000) }
      if (found === null || rate.remaining < found.remaining) found = rate
    }
    return found
  }
  return { requests: least('requestsPerMinute', 'requestsFullAt'), tokens: least('tokensPerMinute', 'tokensFullAt') }
}
