import type { FinishReason } from '../domain/finish-reason.ts'
import type { AnswerIdentity } from './answer-identity.ts'
import type { LegacyLogprobs } from './logprobs.ts'
import { toSseEvent } from './sse.ts'
import { type StreamUsage, type TokenCounts, toUsage } from './usage.ts'

/** The events of a streamed completion (OpenAI's `text_completion`); see `ChatChunks`. */
export class CompletionChunks {
  readonly #head: string
  readonly #usage: StreamUsage

  constructor ({ id, created, model, fingerprint }: AnswerIdentity, usage: StreamUsage) {
    const envelope = JSON.stringify({ id, object: 'text_completion', created, model, system_fingerprint: fingerprint })
    this.#head = `${envelope.slice(0, -1)},"choices":[`
    this.#usage = usage
  }

  text (choice: number, text: string, logprobs: LegacyLogprobs | null, counts: TokenCounts): string {
    return this.#chunk(choice, JSON.stringify(text), logprobs === null ? 'null' : JSON.stringify(logprobs), 'null', counts)
  }

  finish (choice: number, reason: FinishReason, counts: TokenCounts): string {
    return this.#chunk(choice, '""', 'null', `"${reason}"`, counts)
  }

  /** The chunk after the last choice's; without choices, with the usage of all. */
  usage (counts: TokenCounts): string {
    return this.#usage === 'none' ? '' : toSseEvent(`${this.#head}],"usage":${JSON.stringify(toUsage(counts))}}`)
  }

  #chunk (choice: number, text: string, logprobs: string, finishReason: string, counts: TokenCounts): string {
    const tail = this.#usage === 'none' ? '}' : `,"usage":${this.#usage === 'final' ? 'null' : JSON.stringify(toUsage(counts))}}`
    return toSseEvent(`${this.#head}{"index":${choice},"text":${text},"logprobs":${logprobs},"finish_reason":${finishReason}}]${tail}`)
  }
}
