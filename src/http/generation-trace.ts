import type { FinishReason } from '../domain/finish-reason.ts'
import type { Millis } from '../domain/ids.ts'
import type { GenerationEvent } from '../inference/inference.ts'
import type { GenerationRecord } from '../telemetry/observer.ts'
import { GapCounts } from '../telemetry/gap-counts.ts'

export interface GenerationTraceOptions {
  readonly id: string
  readonly model: string
  /** Names of the adapters it runs with. */
  readonly adapters: readonly string[]
  readonly isStream: boolean
  readonly arrivedAt: Millis
  readonly choicesPerPrompt: number
  readonly now: () => Millis
}

/** Watches a request's events for the numbers in log and metrics, while it runs and however it ends. */
export class GenerationTrace {
  readonly #options: GenerationTraceOptions
  readonly #finishReasons: FinishReason[] = []
  readonly #gaps = new GapCounts()
  /** By choice: when it last had text. */
  readonly #lastTextAt: (Millis | undefined)[] = []
  readonly #drawnTokens: number[] = []
  /** By prompt. */
  readonly #promptTokens: number[] = []
  readonly #cachedTokens: number[] = []
  #queuedMs: Millis | null = null
  #ttftMs: Millis | null = null

  constructor (options: GenerationTraceOptions) {
    this.#options = options
  }

  take (prompt: number, event: GenerationEvent): void {
    switch (event.type) {
      case 'text': {
        const choice = prompt * this.#options.choicesPerPrompt + event.choice
        this.#drawnTokens[choice] = event.drawnTokens
        if (event.text === '') return
        const now = this.#options.now()
        const lastTextAt = this.#lastTextAt[choice]
        this.#lastTextAt[choice] = now
        if (lastTextAt !== undefined) this.#gaps.add(now - lastTextAt)
        this.#ttftMs ??= now - this.#options.arrivedAt
        return
      }
      case 'accepted':
        this.#promptTokens[prompt] = event.promptTokens
        return
      case 'choice-started':
        this.#cachedTokens[prompt] = Math.max(this.#cachedTokens[prompt] ?? 0, event.cachedTokens)
        this.#queuedMs = Math.max(this.#queuedMs ?? 0, event.queuedMs)
        return
      case 'choice-finished':
        this.#drawnTokens[prompt * this.#options.choicesPerPrompt + event.choice] = event.completionTokens
        this.#finishReasons.push(event.reason)
        return
      case 'finished':
        this.#promptTokens[prompt] = event.promptTokens
        this.#cachedTokens[prompt] = event.cachedTokens
    }
  }

  /** Whether a choice has got a slot. */
  get hasRun (): boolean { return this.#queuedMs !== null }

  record (): GenerationRecord {
    return {
      id: this.#options.id,
      model: this.#options.model,
      adapters: this.#options.adapters,
      isStream: this.#options.isStream,
      promptTokens: sum(this.#promptTokens),
      cachedTokens: sum(this.#cachedTokens),
      completionTokens: sum(this.#drawnTokens),
      finishReasons: this.#finishReasons,
      queuedMs: this.#queuedMs,
      ttftMs: this.#ttftMs,
      gaps: this.#gaps
    }
  }
}

// Prompts and choices that never started leave holes, which `reduce` skips.
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
