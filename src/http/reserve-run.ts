import { hasReservation, isShared, tokensToTake } from '../access/limits/admission.ts'
import type { Verdict } from '../access/limits/limit-store.ts'
import { costOf } from '../access/usage/price-list.ts'
import type { UsageAccount } from '../access/usage/usage-store.ts'
import { ServerError } from '../domain/errors.ts'
import { exceedsLimit, toLimitError } from './limit-error.ts'
import type { RequestContext } from './request-context.ts'
import type { RunEstimate } from './run-estimate.ts'
import type { HttpServices } from './services.ts'

/**
 * Takes from the caller's limits what a run may use, before it runs. What it did not use comes back when it is booked, or when its exchange ends without.
 * @param id of the run
 * @param model id of the model
 * @throws ServerError `rate_limit_exceeded`, `insufficient_quota`, `request_exceeds_limit` for what could never run, `storage_unavailable`
 */
export async function reserveRun (
  id: string, model: string, { leastTokens, promptTokens, answerTokens }: RunEstimate, context: RequestContext, { config: { prices }, limiter }: Pick<HttpServices, 'config' | 'limiter'>
): Promise<void> {
  const { limits: all, isBatch = false } = context.caller
  if (all.length === 0) return
  const subjects = all.filter(({ limits }) => isShared(limits))
  const tokens = Math.max(1, promptTokens + answerTokens)
  if (!isBatch) {
    for (const { subject, limits: { tokensPerMinute = Infinity } } of subjects) {
      if (leastTokens > tokensPerMinute) {
        context.refusedBy = 'tokensPerMinute'
        throw exceedsLimit('tokensPerMinute', subject, tokensPerMinute, leastTokens)
      }
    }
  }
  const account = { subjects: all.map(({ subject }) => subject), taken: [], hasReservation: false }
  if (subjects.length === 0) {
    context.reservation = { id, account, isSettled: false }
    return
  }
  const cost = costOf({ model, outcome: 'ok', promptTokens, cachedTokens: 0, completionTokens: answerTokens }, prices) ?? 0
  tellVerdict(await limiter.reserve({ id, subjects, tokens, cost, isBatch }), context)
  const taken: UsageAccount = {
    ...account,
    taken: isBatch
      ? []
      : subjects.flatMap(({ subject, limits: { tokensPerMinute } }) => tokensPerMinute === undefined ? [] : [{ subject, perMinute: tokensPerMinute, tokens: tokensToTake(tokens, tokensPerMinute) }]),
    hasReservation: subjects.some(({ limits }) => hasReservation(limits))
  }
  if (context.cancellation.signal.aborted) {
    // Its exchange is over, so nobody else would give it back.
    limiter.release({ id, ...taken, spending: null })
    throw new ServerError('request_aborted', 'The client has gone')
  }
  context.reservation = { id, isSettled: false, account: taken }
}

/**
 * Refuses what is known to be refused before anything is read of it.
 * @throws ServerError `rate_limit_exceeded`
 */
export function refuseKnown (context: RequestContext, { limiter }: Pick<HttpServices, 'limiter'>): void {
  const { limits, isBatch = false } = context.caller
  const verdict = isBatch ? null : limiter.findRefusal(limits)
  if (verdict !== null) tellVerdict(verdict, context)
}

function tellVerdict ({ refusal, rates }: Verdict, context: RequestContext): void {
  context.tellRates(rates)
  if (refusal === null) return
  context.refusedBy = refusal.limit
  throw toLimitError(refusal)
}
