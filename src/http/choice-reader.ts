import { randomUUID } from 'node:crypto'
import { type AnswerFormat, AnswerParser } from '../chat/dialects/answer-parser.ts'
import type { AnswerPart } from '../chat/dialects/answer-part.ts'
import type { FinishReason } from '../domain/finish-reason.ts'
import type { GenerationEvent, TextLogprob } from '../inference/inference.ts'

/** A piece of an answer as the API has it. */
export type AnswerPiece =
  | { readonly type: 'content', readonly text: string, readonly logprobs?: readonly TextLogprob[] }
  | { readonly type: 'reasoning', readonly text: string }
  | { readonly type: 'call', readonly call: number, readonly id: string, readonly name: string }
  | { readonly type: 'arguments', readonly call: number, readonly text: string }

export type AnswerFinishReason = FinishReason | 'tool_calls'

/** Reads one choice's text: what is content, reasoning and calls, with ids for calls and log-probabilities for content. */
export class ChoiceReader {
  readonly #parser: AnswerParser
  readonly #callPrefix: string
  /** Of tokens whose text is held back, or not yet told apart. */
  #logprobs: TextLogprob[] = []
  #hasLogprobs = false
  #isReasoning = false
  #reasoningTokens = 0

  /** @param callPrefix what ids of calls begin with, which is OpenAI's unless said otherwise */
  constructor (format: AnswerFormat, callPrefix = 'call') {
    this.#parser = new AnswerParser(format)
    this.#callPrefix = callPrefix
  }

  /** Tokens of the reasoning so far; those of its tags count with it. */
  get reasoningTokens (): number { return this.#reasoningTokens }

  take ({ text, logprobs, drawnTokens }: Extract<GenerationEvent, { type: 'text' }>): AnswerPiece[] {
    if (logprobs !== undefined) {
      this.#hasLogprobs = true
      this.#logprobs.push(...logprobs)
    }
    const parts = this.#parser.push(text)
    if (parts.some(({ type }) => type === 'reasoning')) this.#isReasoning = true
    if (this.#isReasoning) this.#reasoningTokens = drawnTokens
    if (parts.some(({ type }) => type !== 'reasoning')) this.#isReasoning = false
    return this.#toPieces(parts)
  }

  /** The rest, when the choice has ended. */
  end (): AnswerPiece[] {
    const pieces = this.#toPieces(this.#parser.end())
    // Tokens without text of their own, an end token for one.
    if (this.#logprobs.length > 0 && !this.#parser.hasCalls) pieces.push(this.#content(''))
    return pieces
  }

  reasonFor (reason: FinishReason): AnswerFinishReason {
    return reason === 'stop' && this.#parser.hasCalls ? 'tool_calls' : reason
  }

  #toPieces (parts: readonly AnswerPart[]): AnswerPiece[] {
    const pieces = parts.map((part) => this.#toPiece(part))
    // OpenAI reports the tokens of content alone.
    if (pieces.length > 0) this.#logprobs = []
    return pieces
  }

  #toPiece (part: AnswerPart): AnswerPiece {
    switch (part.type) {
      case 'content': return this.#content(part.text)
      case 'reasoning': return part
      case 'call-started': return { type: 'call', call: part.call, id: `${this.#callPrefix}_${randomUUID().replaceAll('-', '').slice(0, 24)}`, name: part.name }
      case 'call-arguments': return { type: 'arguments', call: part.call, text: part.text }
    }
  }

  #content (text: string): AnswerPiece {
    if (!this.#hasLogprobs) return { type: 'content', text }
    const logprobs = this.#logprobs
    this.#logprobs = []
    return { type: 'content', text, logprobs }
  }
}
