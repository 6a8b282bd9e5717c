import type { ErrorCode } from '../../domain/errors.ts'
import type { FinishReason } from '../../domain/finish-reason.ts'

/** `aborted`: the client went, or cancelled, before the answer was complete. */
export type UsageOutcome = 'ok' | 'error' | 'aborted'

/** What one request that ran a model has used. Never holds a prompt or an answer. */
export interface UsageRow {
  /** The answer's id, which no other has. */
  readonly id: string
  /** The id of the HTTP exchange, which a client may have chosen. */
  readonly requestId: string
  /** Milliseconds since 1970. */
  readonly finishedAt: number
  readonly owner: string
  readonly tenant: string
  /** Null for keys that are not in the database, and where none was needed. */
  readonly keyId: string | null
  /** The id of the model that ran. */
  readonly model: string
  /** Names of the adapters that it ran with. */
  readonly adapters: readonly string[]
  /** The route's pattern, with `batch ` before it for a line of a batch. */
  readonly endpoint: string
  /** Those from the cache included. */
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
  /** Longest wait of a choice for its slot. */
  readonly queuedMs: number | null
  /** Arrival to first text; null when there was none. */
  readonly ttftMs: number | null
  /** Arrival to the end of the run. */
  readonly durationMs: number
  /** One for each choice that ended normally. */
  readonly finishReasons: readonly FinishReason[]
  readonly outcome: UsageOutcome
  readonly errorCode: ErrorCode | null
}
