import type { ErrorCode } from '../domain/errors.ts'
import type { FinishReason } from '../domain/finish-reason.ts'
import type { Millis } from '../domain/ids.ts'
import type { LimitName } from '../domain/limits.ts'
import type { GapCounts } from './gap-counts.ts'

/** What one HTTP request was about, told once it is over. Never holds a prompt, an answer or a key. */
export interface RequestRecord {
  readonly requestId: string
  /** 32 hexadecimal digits; null for a request of no trace. */
  readonly traceId: string | null
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
  /** The client's network address. */
  readonly address: string
  /** What an admin's request was to change; null for all others. */
  readonly action: AdminAction | null
  /** The limit of the key or its owner that kept it from running; null or absent for all others. */
  readonly refusedBy?: LimitName | null
  /** Null for requests that ran no model. */
  readonly generation: GenerationRecord | null
}

export type ActionName = 'adapter.load' | 'adapter.unload' | 'adapter.set-scales' | 'batch.create' | 'batch.cancel' | 'key.create' | 'key.update' | 'key.rotate' | 'key.revoke' | 'owner.limit'

/** What is changed, as far as it is known. Never a key. */
export type ActionSubject = Readonly<Record<string, string | number | boolean | null>>

export interface AdminAction {
  readonly name: ActionName
  readonly subject: ActionSubject
}

/** What a model is asked for, in the words of OpenTelemetry's conventions where they have one. */
export type Operation = 'chat' | 'text_completion' | 'embeddings' | 'rerank'

export interface GenerationRecord {
  /** The completion's id in the answer. */
  readonly id: string
  readonly operation: Operation
  /** The model as the client named it. */
  readonly requestedModel: string
  /** The id of the model that ran. */
  readonly model: string
  /** How many texts vectors or ranks were wanted of; absent where the request was for an answer. */
  readonly inputs?: number
  /** Names of the adapters that it ran with. */
  readonly adapters: readonly string[]
  readonly isStream: boolean
  /** Answers to each prompt; 0 of requests for vectors and ranks. */
  readonly choicesPerPrompt: number
  /** Most tokens per choice that the request asks for; null where it does not say. */
  readonly maxTokens: number | null
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
  /** One for each choice that ended normally; none of requests for vectors and ranks. */
  readonly finishReasons: readonly FinishReason[]
  /** Longest wait of a choice for its slot; null when none got one. */
  readonly queuedMs: Millis | null
  /** Arrival to when the request was found valid and queued; null when it was refused. */
  readonly acceptedMs: Millis | null
  /** Arrival to when its first choice had a slot; null when none got one. */
  readonly startedMs: Millis | null
  /** Arrival to first text; null when there was none. */
  readonly ttftMs: Millis | null
  /** Arrival to when its model was done with it; null when that did not come to its end. */
  readonly endedMs: Millis | null
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
