import type { ErrorCode } from '../domain/errors.ts'
import type { FinishReason } from '../domain/finish-reason.ts'
import type { Millis } from '../domain/ids.ts'
import type { GapCounts } from './gap-counts.ts'

/** What one HTTP request was about, told once it is over. Never holds a prompt, an answer or a key. */
export interface RequestRecord {
  readonly requestId: string
  readonly method: string
  /** The route's pattern, not the path a client sent; `unknown` where there is none. */
  readonly route: string
  readonly status: number
  /** Arrival to last byte or to the client's leaving. */
  readonly durationMs: Millis
  /** `aborted`: the client went before the answer was complete. */
  readonly outcome: 'ok' | 'error' | 'aborted'
  readonly errorCode: ErrorCode | null
  readonly tenant: string | null
  /** Null for requests that ran no model. */
  readonly generation: GenerationRecord | null
}

export interface GenerationRecord {
  /** The completion's id in the answer. */
  readonly id: string
  /** The id of the model that ran. */
  readonly model: string
  /** Names of the adapters that it ran with. */
  readonly adapters: readonly string[]
  readonly isStream: boolean
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
  /** One for each choice that ended normally; none of requests for vectors and ranks. */
  readonly finishReasons: readonly FinishReason[]
  /** Longest wait of a choice for its slot; null when none got one. */
  readonly queuedMs: Millis | null
  /** Arrival to first text; null when there was none. */
  readonly ttftMs: Millis | null
  /** Gaps between consecutive texts of the same choice. */
  readonly gaps: GapCounts
}

/** Hears of every request once it is over. Must not throw and must not block. */
export interface Observer {
  requestFinished (record: RequestRecord): void
}

/** Tells several observers. */
export const createFanOut = (observers: readonly Observer[]): Observer => ({
  requestFinished (record) {
    for (const observer of observers) observer.requestFinished(record)
  }
})
