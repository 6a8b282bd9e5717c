import type { FinishReason } from '../domain/finish-reason.ts'
import type { Millis } from '../domain/ids.ts'
import type { GenerationEvent } from '../inference/inference.ts'
import type { GenerationRecord, Operation } from '../telemetry/observer.ts'
import { GapCounts } from '../telemetry/gap-counts.ts'

export interface GenerationTraceOptions {
  readonly id: string
  readonly operation: Operation
  /** As the client named it. */
  readonly requestedModel: string
  readonly model: string
  /** Names of the adapters it runs with. */
  readonly adapters: readonly string[]
  readonly isStream: boolean
  readonly arrivedAt: Millis
  readonly choicesPerPrompt: number
  readonly maxTokens: number | null
  /** Whether the answers are kept, for the prompt log. */
  readonly keepsAnswers: boolean
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
  readonly #answers: string[] = []
  /** By prompt. */
  readonly #promptTokens: number[] = []
  readonly #cachedTokens: number[] = []
  #queuedMs: Millis | null = null
  #acceptedMs: Millis | null = null
  #startedMs: Millis | null = null
  #ttftMs: Millis | null = null
  #endedMs: Millis | null = null

  constructor (options: GenerationTraceOptions) {
    this.#options = options
  }

  take (prompt: number, event: GenerationEvent): void {
    switch (event.type) {
      case 'text': {
        const choice = prompt * this.#options.choicesPerPrompt + event.choice
        this.#drawnTokens[choice] = event.drawnTokens
        if (event.text === '') return
        if (this.#options.keepsAnswers) this.#answers[choice] = (this.#answers[choice] ?? '') + event.text
        const now = this.#options.now()
        const lastTextAt = this.#lastTextAt[choice]
        this.#lastTextAt[choice] = now
        if (lastTextAt !== undefined) this.#gaps.add(now - lastTextAt)
        this.#ttftMs ??= now - this.#options.arrivedAt
        return
      }
      case 'accepted':
        this.#promptTokens[prompt] = event.promptTokens
        this.#acceptedMs ??= this.#sinceArrival()
        return
      case 'choice-started':
        this.#startedMs ??= this.#sinceArrival()
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
        this.#endedMs = this.#sinceArrival()
    }
  }

  /** By choice; empty unless they are kept. */
  answers (): readonly string[] {
    return Array.from(this.#answers, (answer) => answer ?? '')
  }

  /** Whether a choice has got a slot. */
  get hasRun (): boolean { return this.#queuedMs !== null }

  #sinceArrival (): Millis {
    return this.#options.now() - this.#options.arrivedAt
  }

  record (): GenerationRecord {
    const { id, operation, requestedModel, model, adapters, isStream, choicesPerPrompt, maxTokens } = this.#options
    return {
      id,
      operation,
      requestedModel,
      model,
      adapters,
      isStream,
      choicesPerPrompt,
      maxTokens,
      promptTokens: sum(this.#promptTokens),
      cachedTokens: sum(this.#cachedTokens),
      completionTokens: sum(this.#drawnTokens),
      finishReasons: this.#finishReasons,
      queuedMs: this.#queuedMs,
      acceptedMs: this.#acceptedMs,
      startedMs: this.#startedMs,
      ttftMs: this.#ttftMs,
      endedMs: this.#endedMs,
      gaps: this.#gaps
    }
  }
}

// Prompts and choices that never started leave holes, which `reduce` skips.
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0)
