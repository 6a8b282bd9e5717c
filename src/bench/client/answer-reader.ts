import type { Millis } from '../../domain/ids.ts'
import { errorFailure, shorten, type Failure } from './failure.ts'
import { SseDecoder } from './sse-decoder.ts'

/** The parts of chat chunks, completion chunks and whole answers that are looked at; anything may be missing. */
interface Payload {
  readonly error?: unknown
  readonly choices?: readonly Choice[]
  readonly usage?: Usage | null
}

interface Choice {
  readonly delta?: Message | null
  readonly message?: Message | null
  readonly text?: string | null
  readonly finish_reason?: string | null
}

interface Message {
  readonly content?: string | null
  readonly reasoning_content?: string | null
  readonly reasoning?: string | null
  readonly refusal?: string | null
  readonly tool_calls?: readonly unknown[] | null
}

interface Usage {
  readonly prompt_tokens?: number
  readonly completion_tokens?: number
  readonly prompt_tokens_details?: { readonly cached_tokens?: number | null } | null
}

/**
 * Reads one answer, streamed or whole, of chat completions or completions. It is given bytes and the moments when they came, so
 * that what it notes depends on no clock.
 */
export class AnswerReader {
  readonly #isStreaming: boolean
  readonly #decoder: SseDecoder
  readonly #body: Buffer[] = []
  #now: Millis = 0
  #isDone = false
  #hasFinished = false
  /** When each chunk with output came. */
  readonly outputTimes: Millis[] = []
  text = ''
  inputTokens: number | null = null
  outputTokens: number | null = null
  cachedTokens = 0
  failure: Failure | null = null

  constructor (isStreaming: boolean) {
    this.#isStreaming = isStreaming
    this.#decoder = new SseDecoder((data) => this.#take(data))
  }

  push (bytes: Buffer, now: Millis): void {
    this.#now = now
    if (this.#isStreaming) this.#decoder.push(bytes)
    else this.#body.push(bytes)
  }

  /** The answer is over; what is missing makes it a failure. */
  end (): void {
    if (!this.#isStreaming) this.#take(Buffer.concat(this.#body).toString())
    if (this.failure !== null || this.#isDone || this.#hasFinished) return
    this.failure = this.#isStreaming
      ? { kind: 'cut off', message: 'The stream ended without a finish reason and without [DONE]' }
      : { kind: 'invalid answer', message: 'The answer has no choice with a finish reason' }
  }

  #take (data: string): void {
    if (data === '[DONE]') {
      this.#isDone = true
      return
    }
    let payload: Payload
    try {
      payload = JSON.parse(data) as Payload
    } catch {
      this.failure ??= { kind: 'invalid answer', message: `This is not JSON: ${shorten(data, 200)}` }
      return
    }
    if (typeof payload !== 'object' || payload === null) return
    if (payload.error !== undefined && payload.error !== null) {
      this.failure ??= errorFailure('error in stream', payload.error, data)
      return
    }
    if (payload.usage !== undefined && payload.usage !== null) this.#takeUsage(payload.usage)
    let hasOutput = false
    for (const choice of Array.isArray(payload.choices) ? payload.choices as readonly (Choice | null)[] : []) {
      if (choice !== null && this.#takeChoice(choice)) hasOutput = true
    }
    if (hasOutput && this.#isStreaming) this.outputTimes.push(this.#now)
  }

  #takeChoice (choice: Choice): boolean {
    if (typeof choice.finish_reason === 'string') this.#hasFinished = true
    const message = choice.delta ?? choice.message ?? undefined
    const content = [message?.content, choice.text].find((value) => typeof value === 'string') ?? ''
    this.text += content
    return content !== '' || (message !== undefined && hasOtherOutput(message))
  }

  #takeUsage (usage: Usage): void {
    this.inputTokens = countOf(usage.prompt_tokens) ?? this.inputTokens
    this.outputTokens = countOf(usage.completion_tokens) ?? this.outputTokens
    this.cachedTokens = countOf(usage.prompt_tokens_details?.cached_tokens) ?? this.cachedTokens
  }
}

/** Null for what is no number of tokens. */
const countOf = (value: unknown): number | null => Number.isSafeInteger(value) && (value as number) >= 0 ? value as number : null

const isText = (value: string | null | undefined): boolean => typeof value === 'string' && value !== ''

const hasOtherOutput = (message: Message): boolean =>
  isText(message.reasoning_content) || isText(message.reasoning) || isText(message.refusal) ||
  (Array.isArray(message.tool_calls) && message.tool_calls.length > 0)
