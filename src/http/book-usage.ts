import type { UsageOutcome } from '../access/usage/usage-row.ts'
import { spendingOf } from '../access/limits/settlement.ts'
import { ServerError } from '../domain/errors.ts'
import type { GenerationRecord } from '../telemetry/observer.ts'
import type { RequestContext } from './request-context.ts'
import type { HttpServices } from './services.ts'

/** What watches the run of a model. */
export interface UsageTrace {
  /** Whether the model has begun. */
  readonly hasRun: boolean
  record (): GenerationRecord
}

/**
 * Tells the ledger how a run has ended, with null for one that is complete. Only the first call counts, and settles when the row is committed.
 * @throws ServerError `storage_unavailable` where a complete answer could not be booked; nobody may get it then
 */
export type BookUsage = (error: unknown) => Promise<void>

/** Makes the one booking of a request, which ends its reservation too. */
export function createBooking (
  trace: UsageTrace, context: RequestContext, { config, limiter, logger, now, usage }: Pick<HttpServices, 'config' | 'limiter' | 'logger' | 'now' | 'usage'>
): BookUsage {
  const { id: requestId, arrivedAt, caller } = context
  const endpoint = caller.isBatch === true ? `batch ${context.endpoint}` : context.endpoint
  const ledger = config.usage === 'all' || !caller.isAnonymous ? usage?.ledger ?? null : null
  let isBooked = false
  return async (error) => {
    if (isBooked || !trace.hasRun) return
    isBooked = true
    const { reservation } = context
    if (ledger === null && reservation === null) return
    const { id, model, adapters, promptTokens, cachedTokens, completionTokens, queuedMs, ttftMs, finishReasons } = trace.record()
    const errorCode = error === null ? null : ServerError.from(error).code
    const outcome: UsageOutcome = errorCode === null ? 'ok' : errorCode === 'request_aborted' ? 'aborted' : 'error'
    // What began when its client had gone already has given back what it took.
    const account = reservation === null ? null : reservation.isSettled ? { ...reservation.account, taken: [], hasReservation: false } : reservation.account
    if (reservation !== null) reservation.isSettled = true
    if (ledger === null) {
      if (account !== null) limiter.release({ id, ...account, spending: spendingOf({ finishedAt: Date.now(), model, outcome, promptTokens, cachedTokens, completionTokens }) })
      return
    }
    try {
      await ledger.record({
        id, requestId, owner: caller.owner, tenant: caller.tenant, keyId: caller.keyId, model, adapters, endpoint, promptTokens, cachedTokens, completionTokens, queuedMs, ttftMs, durationMs: now() - arrivedAt, finishReasons, outcome, errorCode
      }, account)
    } catch (failure) {
      // What it took of buckets it keeps: the row may be there all the same, and has given the rest back then.
      if (account !== null) limiter.release({ id, ...account, taken: [], spending: null })
      // The client of one that failed hears of that.
      if (error === null) throw failure
      logger.warn({ requestId, err: failure }, 'a request is missing in the ledger')
    }
  }
}
