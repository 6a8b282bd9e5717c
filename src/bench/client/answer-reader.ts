import type { Millis } from '../../domain/ids.ts'
import { errorFailure, shorten, type Failure } from './failure.ts'
import { SseDecoder } from './sse-decoder.ts'

/** The parts of chat chunks, completion chunks and whole answers that are looked at; anything may be missing. */
interface Payload {
  readonly error?: unknown
  readonly object?: unknown
  readonly choices?: readonly Choice[]
  readonly usage?: Usage | null
}

interface Choice {
  readonly index?: number
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

/** Whole answers are held in memory up to here. */
const longestBody = 64 * 1024 * 1024

/**
 * Reads one answer, streamed or whole, of chat completions or completions. It is given bytes and the moments when they came, so
 * that what it notes depends on no clock. Of several choices it times the one that comes first and keeps its text: gaps between
 * chunks of different choices are gaps of no stream.
 */
export class AnswerReader {
  readonly #isStreaming: boolean
  readonly #decoder: SseDecoder
  readonly #body: Buffer[] = []
  #bodyLength = 0
  #now: Millis = 0
  #isDone = false
  #hasEnded = false
  /** By index: whether it has its finish reason. */
  readonly #choices = new Map<number, boolean>()
  #timedIndex: number | null = null
  /** When each chunk with output of the first choice came. */
  readonly outputTimes: Millis[] = []
  text = ''
  inputTokens: number | null = null
  outputTokens: number | null = null
  cachedTokens = 0
  failure: Failure | null = null

  constructor (isStreaming: boolean) {
    this.#isStreaming = isStreaming
    this.#decoder = new SseDecoder((data) => this.#takeEvent(data))
  }

  /** Whether `[DONE]` has come: nothing after it belongs to the answer. */
  get isDone (): boolean { return this.#isDone }

  /** How many choices were seen. */
  get choiceCount (): number { return this.#choices.size }

  /** @throws RangeError for what is too long to be an answer. */
  push (bytes: Buffer, now: Millis): void {
    this.#now = now
    if (this.#isStreaming) return this.#decoder.push(bytes)
    this.#bodyLength += bytes.length
    if (this.#bodyLength > longestBody) throw new RangeError(`The answer has more than ${longestBody / 1024 / 1024} MiB`)
    this.#body.push(bytes)
  }

  /** The answer is over; what is missing makes it a failure. */
  end (): void {
    this.#hasEnded = true
    if (this.#isStreaming) this.#decoder.end()
    else this.#takeWhole(Buffer.concat(this.#body).toString())
    if (this.failure !== null || this.#isDone || this.#hasFinished) return
    this.failure = this.#isStreaming
      ? { kind: 'cut off', message: 'The stream ended without a finish reason and without [DONE]' }
      : { kind: 'invalid answer', message: 'The answer has no choice with a finish reason' }
  }

  get #hasFinished (): boolean { return this.#choices.size > 0 && [...this.#choices.values()].every(Boolean) }

  #takeWhole (body: string): void {
    if (body.trim() === '') this.failure = { kind: 'invalid answer', message: 'The body is empty' }
    else this.#take(body)
  }

  #takeEvent (data: string): void {
    if (this.#isDone) return
    if (data !== '[DONE]') return this.#take(data)
    this.#isDone = true
    // A proxy's empty stream is answered fast, but it is no answer.
    if (this.#choices.size === 0) this.failure ??= { kind: 'invalid answer', message: 'The stream has no choices' }
  }

  #take (data: string): void {
    let payload: Payload
    try {
      payload = JSON.parse(data) as Payload
    } catch {
      this.failure ??= this.#isStreaming && this.#hasEnded
        ? { kind: 'cut off', message: `The stream ended in the middle of an event: ${shorten(data, 200)}` }
        : { kind: 'invalid answer', message: `This is not JSON: ${shorten(data, 200)}` }
      return
    }
    if (typeof payload !== 'object' || payload === null) return
    // Some servers tell of an error without the object around it.
    const error = payload.error ?? (payload.object === 'error' ? payload : undefined)
    if (error !== undefined) {
      this.failure ??= errorFailure(this.#isStreaming ? 'error in stream' : 'error in answer', error, data)
      return
    }
    if (payload.usage !== undefined && payload.usage !== null) this.#takeUsage(payload.usage)
    let hasOutput = false
    for (const choice of Array.isArray(payload.choices) ? payload.choices as readonly (Choice | null)[] : []) {
      if (choice !== null && this.#takeChoice(choice)) hasOutput = true
    }
    if (hasOutput && this.#isStreaming) this.outputTimes.push(this.#now)
  }

  /** @returns whether it is output of the choice that is timed. */
  #takeChoice (choice: Choice): boolean {
    const index = countOf(choice.index) ?? 0
    this.#timedIndex ??= index
    this.#choices.set(index, this.#choices.get(index) === true || typeof choice.finish_reason === 'string')
    if (index !== this.#timedIndex) return false
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

/** Null for what is no count: of tokens, or from the first choice. */
const countOf = (value: unknown): number | null => Number.isSafeInteger(value) && (value as number) >= 0 ? value as number : null

const isText = (value: string | null | undefined): boolean => typeof value === 'string' && value !== ''

const hasOtherOutput = (message: Message): boolean =>
  isText(message.reasoning_content) || isText(message.reasoning) || isText(message.refusal) ||
  (Array.isArray(message.tool_calls) && message.tool_calls.length > 0)
