import type { UsageOutcome } from '../access/usage/usage-row.ts'
import type { UsageLedger } from '../access/usage/usage-ledger.ts'
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

/** Makes the one booking of a request. */
export function createBooking (
  trace: UsageTrace, { id: requestId, endpoint: route, arrivedAt, caller }: RequestContext, { config, logger, now, usage }: Pick<HttpServices, 'config' | 'logger' | 'now' | 'usage'>
): BookUsage {
  const ledger: Pick<UsageLedger, 'record'> | null = config.usage === 'all' || !caller.isAnonymous ? usage?.ledger ?? null : null
  const endpoint = caller.isBatch === true ? `batch ${route}` : route
  let isBooked = false
  return async (error) => {
    if (isBooked || ledger === null || !trace.hasRun) return
    isBooked = true
    const { id, model, adapters, promptTokens, cachedTokens, completionTokens, queuedMs, ttftMs, finishReasons } = trace.record()
    const errorCode = error === null ? null : ServerError.from(error).code
    const outcome: UsageOutcome = errorCode === null ? 'ok' : errorCode === 'request_aborted' ? 'aborted' : 'error'
    try {
      await ledger.record({
        id, requestId, owner: caller.owner, tenant: caller.tenant, keyId: caller.keyId, model, adapters, endpoint, promptTokens, cachedTokens, completionTokens, queuedMs, ttftMs, durationMs: now() - arrivedAt, finishReasons, outcome, errorCode
      })
    } catch (failure) {
      // The client of one that failed hears of that.
      if (error === null) throw failure
      logger.warn({ requestId, err: failure }, 'a request is missing in the ledger')
    }
  }
}
