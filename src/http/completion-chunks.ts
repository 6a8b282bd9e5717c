import type { FinishReason } from '../domain/finish-reason.ts'
import { AnswerChunks } from './answer-chunks.ts'
import type { AnswerIdentity } from './answer-identity.ts'
import type { LegacyLogprobs } from './logprobs.ts'
import type { StreamUsage, TokenCounts } from './usage.ts'

/** The events of a streamed completion (OpenAI's `text_completion`). */
export class CompletionChunks extends AnswerChunks {
  constructor (identity: AnswerIdentity, usage: StreamUsage) {
    super('text_completion', identity, usage)
  }

  text (choice: number, text: string, logprobs: LegacyLogprobs | null, counts: TokenCounts): string {
    const logprobsJson = logprobs === null ? 'null' : JSON.stringify(logprobs)
    return this.chunk(`"text":${JSON.stringify(text)},"index":${choice},"logprobs":${logprobsJson},"finish_reason":null`, counts)
  }

  finish (choice: number, reason: FinishReason, counts: TokenCounts): string {
    return this.chunk(`"text":"","index":${choice},"logprobs":null,"finish_reason":"${reason}"`, counts)
  }
}
