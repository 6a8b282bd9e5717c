import type { FinishReason } from '../domain/finish-reason.ts'
import type { TextLogprob } from '../inference/inference.ts'
import type { AnswerIdentity } from './answer-identity.ts'
import { toChatLogprobs } from './logprobs.ts'
import { toSseEvent } from './sse.ts'
import { type StreamUsage, type TokenCounts, toUsage } from './usage.ts'

/**
 * The events of a streamed chat completion (OpenAI's `chat.completion.chunk`). What repeats is serialized once, since
 * there is a chunk per token; a test holds the result to OpenAI's types.
 */
export class ChatChunks {
  readonly #head: string
  readonly #usage: StreamUsage

  constructor ({ id, created, model, fingerprint }: AnswerIdentity, usage: StreamUsage) {
    const envelope = JSON.stringify({ id, object: 'chat.completion.chunk', created, model, system_fingerprint: fingerprint })
    this.#head = `${envelope.slice(0, -1)},"choices":[`
    this.#usage = usage
  }

  /** The first chunk of a choice. */
  role (choice: number, counts: TokenCounts): string {
    return this.#chunk(choice, '{"role":"assistant","content":"","refusal":null}', 'null', 'null', counts)
  }

  text (choice: number, text: string, logprobs: readonly TextLogprob[] | undefined, counts: TokenCounts): string {
    const logprobsJson = logprobs === undefined ? 'null' : JSON.stringify({ content: toChatLogprobs(logprobs), refusal: null })
    return this.#chunk(choice, `{"content":${JSON.stringify(text)}}`, logprobsJson, 'null', counts)
  }

  finish (choice: number, reason: FinishReason, counts: TokenCounts): string {
    return this.#chunk(choice, '{}', 'null', `"${reason}"`, counts)
  }

  /** The chunk after the last choice's; without choices, with the usage of all. */
  usage (counts: TokenCounts): string {
    return this.#usage === 'none' ? '' : toSseEvent(`${this.#head}],"usage":${JSON.stringify(toUsage(counts))}}`)
  }

  #chunk (choice: number, delta: string, logprobs: string, finishReason: string, counts: TokenCounts): string {
    const tail = this.#usage === 'none' ? '}' : `,"usage":${this.#usage === 'final' ? 'null' : JSON.stringify(toUsage(counts))}}`
    return toSseEvent(`${this.#head}{"index":${choice},"delta":${delta},"logprobs":${logprobs},"finish_reason":${finishReason}}]${tail}`)
  }
}
