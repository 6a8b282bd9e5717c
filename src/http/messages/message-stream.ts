import type { Anthropic } from '@anthropic-ai/sdk'
import type { GenerationEvent } from '../../inference/inference.ts'
import { type AnswerPiece, ChoiceReader } from '../choice-reader.ts'
import { type GenerationSink, UsageSum } from '../generation.ts'
import { type MessageOptions, toolUsePrefix } from './message-options.ts'
import { toMessageStop } from './message-stop.ts'
import { toDeltaUsage, toMessageUsage } from './message-usage.ts'
import { signThinking } from './sign-thinking.ts'

type StreamedBlock = Anthropic.TextBlock | Anthropic.ThinkingBlock | Anthropic.ToolUseBlock

/** One server-sent event as Anthropic's clients read it: its name goes before its data. */
export const toNamedEvent = <Event extends { readonly type: string }>(event: Event): string =>
  `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`

export const pingEvent = toNamedEvent({ type: 'ping' })

/** Writes a message's events: one block after the other, each in pieces as the model writes them. */
export class MessageStream implements GenerationSink {
  readonly #options: MessageOptions
  readonly #send: (events: string) => void
  readonly #reader: ChoiceReader
  readonly #usage = new UsageSum()
  #isStarted = false
  /** Index of the next block. */
  #next = 0
  #open: StreamedBlock['type'] | null = null
  /** Of the open block. */
  #thinking = ''
  #stop: ReturnType<typeof toMessageStop> | null = null

  constructor (options: MessageOptions, send: (events: string) => void) {
    this.#options = options
    this.#send = send
    this.#reader = new ChoiceReader(options.format, toolUsePrefix)
  }

  take (_prompt: number, event: GenerationEvent): void {
    switch (event.type) {
      case 'accepted':
        this.#usage.promptTokens = event.promptTokens
        break
      case 'choice-started':
        this.#usage.cachedTokens = event.cachedTokens
        break
      case 'text':
        this.#write(this.#reader.take(event))
        break
      case 'choice-finished':
        this.#write(this.#reader.end())
        this.#stop = toMessageStop(this.#reader.reasonFor(event.reason), event, this.#options.maxTokens)
        break
      case 'finished':
        Object.assign(this.#usage, { promptTokens: event.promptTokens, cachedTokens: event.cachedTokens, completionTokens: event.completionTokens, reasoningTokens: this.#reader.reasoningTokens })
        this.#end()
    }
  }

  #write (pieces: readonly AnswerPiece[]): void {
    for (const piece of pieces) {
      switch (piece.type) {
        case 'content':
          if (piece.text === '') break
          if (this.#open !== 'text') this.#start({ type: 'text', text: '', citations: null })
          this.#delta({ type: 'text_delta', text: piece.text })
          break
        case 'reasoning':
          if (this.#open !== 'thinking') this.#start({ type: 'thinking', thinking: '', signature: '' })
          this.#thinking += piece.text
          if (this.#options.showsThinking) this.#delta({ type: 'thinking_delta', thinking: piece.text })
          break
        case 'call':
          this.#start({ type: 'tool_use', id: piece.id, name: piece.name, input: {}, caller: { type: 'direct' } })
          break
        case 'arguments':
          this.#delta({ type: 'input_json_delta', partial_json: piece.text })
      }
    }
  }

  #start (block: StreamedBlock): void {
    this.#startMessage()
    this.#stopBlock()
    this.#open = block.type
    this.#event({ type: 'content_block_start', index: this.#next, content_block: block })
  }

  #delta (delta: Anthropic.RawContentBlockDelta): void {
    this.#event({ type: 'content_block_delta', index: this.#next, delta })
  }

  #stopBlock (): void {
    if (this.#open === null) return
    if (this.#open === 'thinking') {
      this.#delta({ type: 'signature_delta', signature: signThinking(this.#thinking) })
      this.#thinking = ''
    }
    this.#event({ type: 'content_block_stop', index: this.#next++ })
    this.#open = null
  }

  /** Goes out with the first block, so that errors before it still have their status. */
  #startMessage (): void {
    if (this.#isStarted) return
    this.#isStarted = true
    const { id, model, serviceTier } = this.#options.identity
    this.#event({
      type: 'message_start',
      message: {
        id,
        type: 'message',
        role: 'assistant',
        model,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        stop_details: null,
        container: null,
        diagnostics: null,
        usage: toMessageUsage(this.#usage, serviceTier)
      }
    })
  }

  #end (): void {
    this.#startMessage()
    this.#stopBlock()
    if (this.#stop !== null) this.#event({ type: 'message_delta', delta: this.#stop, usage: toDeltaUsage(this.#usage) })
    this.#event({ type: 'message_stop' })
  }

  #event (event: Anthropic.RawMessageStreamEvent): void {
    this.#send(toNamedEvent(event))
  }
}
