import type { TextLogprob } from '../inference/inference.ts'
import { AnswerChunks } from './answer-chunks.ts'
import type { AnswerIdentity } from './answer-identity.ts'
import type { AnswerFinishReason, AnswerPiece } from './choice-reader.ts'
import { toChatLogprobs } from './logprobs.ts'
import type { StreamUsage, TokenCounts } from './usage.ts'

/** The events of a streamed chat completion (OpenAI's `chat.completion.chunk`). */
export class ChatChunks extends AnswerChunks {
  constructor (identity: AnswerIdentity, usage: StreamUsage) {
    super('chat.completion.chunk', identity, usage)
  }

  /** The first chunk of a choice. */
  role (choice: number, hasContent: boolean, counts: TokenCounts): string {
    return this.#delta(choice, `{"role":"assistant","content":${hasContent ? '""' : 'null'},"refusal":null}`, 'null', 'null', counts)
  }

  piece (choice: number, piece: AnswerPiece, counts: TokenCounts): string {
    switch (piece.type) {
      case 'content':
        return this.#delta(choice, `{"content":${JSON.stringify(piece.text)}}`, logprobsJson(piece.logprobs), 'null', counts)
      case 'reasoning': {
        // Clients know either name.
        const text = JSON.stringify(piece.text)
        return this.#delta(choice, `{"reasoning_content":${text},"reasoning":${text}}`, 'null', 'null', counts)
      }
      case 'call':
        return this.#call(choice, { index: piece.call, id: piece.id, type: 'function', function: { name: piece.name, arguments: '' } }, counts)
      case 'arguments':
        return this.#call(choice, { index: piece.call, function: { arguments: piece.text } }, counts)
    }
  }

  finish (choice: number, reason: AnswerFinishReason, counts: TokenCounts): string {
    return this.#delta(choice, '{}', 'null', `"${reason}"`, counts)
  }

  #call (choice: number, call: object, counts: TokenCounts): string {
    return this.#delta(choice, `{"tool_calls":[${JSON.stringify(call)}]}`, 'null', 'null', counts)
  }

  #delta (choice: number, delta: string, logprobs: string, finishReason: string, counts: TokenCounts): string {
    return this.chunk(`"index":${choice},"delta":${delta},"logprobs":${logprobs},"finish_reason":${finishReason}`, counts)
  }
}

const logprobsJson = (logprobs: readonly TextLogprob[] | undefined): string =>
  logprobs === undefined ? 'null' : JSON.stringify({ content: toChatLogprobs(logprobs), refusal: null })
