import type { Millis } from '../domain/ids.ts'
import type { EmbeddingEvent } from '../inference/inference.ts'
import { GapCounts } from '../telemetry/gap-counts.ts'
import type { GenerationRecord, Operation } from '../telemetry/observer.ts'

export interface EmbeddingTraceOptions {
  readonly id: string
  readonly operation: Operation
  /** As the client named it. */
  readonly requestedModel: string
  readonly model: string
  /** How many texts. */
  readonly inputs: number
  readonly arrivedAt: Millis
  readonly now: () => Millis
}

/** Watches a request's vectors for the numbers in log, metrics and traces, while it runs and however it ends. */
export class EmbeddingTrace {
  readonly #options: EmbeddingTraceOptions
  #promptTokens = 0
  #hasRun = false
  #queuedMs: Millis | null = null
  #acceptedMs: Millis | null = null
  #endedMs: Millis | null = null

  constructor (options: EmbeddingTraceOptions) {
    this.#options = options
  }

  take (event: EmbeddingEvent): void {
    if (event.type !== 'accepted') this.#hasRun = true
    if (event.type === 'embedded') return
    const sinceArrivalMs = this.#options.now() - this.#options.arrivedAt
    this.#promptTokens = event.promptTokens
    if (event.type === 'accepted') {
      this.#acceptedMs = sinceArrivalMs
    } else {
      this.#queuedMs = event.queuedMs
      this.#endedMs = sinceArrivalMs
    }
  }

  /** Whether there was a vector. */
  get hasRun (): boolean { return this.#hasRun }

  record (): GenerationRecord {
    const { id, operation, requestedModel, model, inputs } = this.#options
    return {
      id,
      operation,
      requestedModel,
      model,
      inputs,
      adapters: [],
      isStream: false,
      choicesPerPrompt: 0,
      maxTokens: null,
      promptTokens: this.#promptTokens,
      cachedTokens: 0,
      completionTokens: 0,
      finishReasons: [],
      queuedMs: this.#queuedMs,
      acceptedMs: this.#acceptedMs,
      // The wait is told with the last event, and on another process's clock.
      startedMs: this.#acceptedMs === null || this.#queuedMs === null ? null : Math.min(this.#acceptedMs + this.#queuedMs, this.#endedMs ?? Infinity),
      ttftMs: null,
      endedMs: this.#endedMs,
      gaps: new GapCounts()
    }
  }
}
