import type { EmbeddingEvent } from '../inference/inference.ts'
import { GapCounts } from '../telemetry/gap-counts.ts'
import type { GenerationRecord } from '../telemetry/observer.ts'

/** Watches a request's vectors for the numbers in log and metrics, while it runs and however it ends. */
export class EmbeddingTrace {
  readonly #id: string
  readonly #model: string
  #promptTokens = 0
  #hasRun = false
  #queuedMs: number | null = null

  constructor (id: string, model: string) {
    this.#id = id
    this.#model = model
  }

  take (event: EmbeddingEvent): void {
    if (event.type !== 'accepted') this.#hasRun = true
    if (event.type === 'embedded') return
    this.#promptTokens = event.promptTokens
    if (event.type === 'finished') this.#queuedMs = event.queuedMs
  }

  /** Whether there was a vector. */
  get hasRun (): boolean { return this.#hasRun }

  record (): GenerationRecord {
    return {
      id: this.#id,
      model: this.#model,
      adapters: [],
      isStream: false,
      promptTokens: this.#promptTokens,
      cachedTokens: 0,
      completionTokens: 0,
      finishReasons: [],
      queuedMs: this.#queuedMs,
      ttftMs: null,
      gaps: new GapCounts()
    }
  }
}
