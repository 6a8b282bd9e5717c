import type { FinishReason } from '../domain/finish-reason.ts'
import type { TextLogprob } from '../inference/inference.ts'
import { AnswerChunks } from './answer-chunks.ts'
import type { AnswerIdentity } from './answer-identity.ts'
import { toChatLogprobs } from './logprobs.ts'
import type { StreamUsage, TokenCounts } from './usage.ts'

/** The events of a streamed chat completion (OpenAI's `chat.completion.chunk`). */
export class ChatChunks extends AnswerChunks {
  constructor (identity: AnswerIdentity, usage: StreamUsage) {
    super('chat.completion.chunk', identity, usage)
  }

  /** The first chunk of a choice. */
  role (choice: number, counts: TokenCounts): string {
    return this.#delta(choice, '{"role":"assistant","content":"","refusal":null}', 'null', 'null', counts)
  }

  text (choice: number, text: string, logprobs: readonly TextLogprob[] | undefined, counts: TokenCounts): string {
    const logprobsJson = logprobs === undefined ? 'null' : JSON.stringify({ content: toChatLogprobs(logprobs), refusal: null })
    return this.#delta(choice, `{"content":${JSON.stringify(text)}}`, logprobsJson, 'null', counts)
  }

  finish (choice: number, reason: FinishReason, counts: TokenCounts): string {
    return this.#delta(choice, '{}', 'null', `"${reason}"`, counts)
  }

  #delta (choice: number, delta: string, logprobs: string, finishReason: string, counts: TokenCounts): string {
    return this.chunk(choice, `"delta":${delta},"logprobs":${logprobs},"finish_reason":${finishReason}`, counts)
  }
}
