import type { OpenAI } from 'openai'
import type { AnswerFormat } from '../chat/dialects/answer-parser.ts'
import type { GenerationEvent, TextLogprob } from '../inference/inference.ts'
import type { AnswerIdentity } from './answer-identity.ts'
import { type AnswerFinishReason, type AnswerPiece, ChoiceReader } from './choice-reader.ts'
import { type GenerationSink, UsageSum } from './generation.ts'
import { toChatLogprobs } from './logprobs.ts'
import { toUsage } from './usage.ts'

interface AnswerCall {
  readonly id: string
  readonly name: string
  arguments: string
}

/** One choice on its way to a message. */
class ChatChoice {
  readonly reader: ChoiceReader
  #content = ''
  #reasoning = ''
  readonly #calls: AnswerCall[] = []
  #logprobs: TextLogprob[] | null = null
  reason: AnswerFinishReason = 'stop'

  constructor (format: AnswerFormat) {
    this.reader = new ChoiceReader(format)
  }

  add (pieces: readonly AnswerPiece[]): void {
    for (const piece of pieces) {
      switch (piece.type) {
        case 'content':
          this.#content += piece.text
          if (piece.logprobs !== undefined) (this.#logprobs ??= []).push(...piece.logprobs)
          break
        case 'reasoning':
          this.#reasoning += piece.text
          break
        case 'call':
          this.#calls[piece.call] = { id: piece.id, name: piece.name, arguments: '' }
          break
        case 'arguments': {
          const call = this.#calls[piece.call]
          if (call !== undefined) call.arguments += piece.text
        }
      }
    }
  }

  toJson (index: number) {
    return {
      index,
      message: {
        role: 'assistant' as const,
        content: this.#content === '' && this.#calls.length > 0 ? null : this.#content,
        refusal: null,
        annotations: [],
        // Clients know either name.
        ...(this.#reasoning === '' ? {} : { reasoning_content: this.#reasoning, reasoning: this.#reasoning }),
        ...(this.#calls.length === 0 ? {} : { tool_calls: this.#calls.map(({ id, name, arguments: text }) => ({ id, type: 'function' as const, function: { name, arguments: text } })) })
      },
      logprobs: this.#logprobs === null ? null : { content: toChatLogprobs(this.#logprobs), refusal: null },
      finish_reason: this.reason
    } satisfies OpenAI.Chat.ChatCompletion.Choice
  }
}

/** Collects an answer that is sent as one JSON body. */
export class ChatAnswer implements GenerationSink {
  readonly #identity: AnswerIdentity
  readonly #choices: readonly ChatChoice[]
  readonly #usage = new UsageSum()

  constructor (identity: AnswerIdentity, choices: number, format: AnswerFormat) {
    this.#identity = identity
    this.#choices = Array.from({ length: choices }, () => new ChatChoice(format))
  }

  take (_prompt: number, event: GenerationEvent): void {
    if (event.type === 'finished') {
      this.#usage.add(event)
      this.#usage.reasoningTokens = this.#choices.reduce((sum, { reader }) => sum + reader.reasoningTokens, 0)
    }
    if (event.type !== 'text' && event.type !== 'choice-finished') return
    const choice = this.#choices[event.choice]
    if (choice === undefined) return
    if (event.type === 'text') {
      choice.add(choice.reader.take(event))
    } else {
      choice.add(choice.reader.end())
      choice.reason = choice.reader.reasonFor(event.reason)
    }
  }

  toJson () {
    const { id, created, model, fingerprint, serviceTier } = this.#identity
    return {
      id,
      object: 'chat.completion',
      created,
      model,
      choices: this.#choices.map((choice, index) => choice.toJson(index)),
      usage: toUsage(this.#usage),
      service_tier: serviceTier,
      system_fingerprint: fingerprint
    } satisfies OpenAI.Chat.ChatCompletion
  }
}
