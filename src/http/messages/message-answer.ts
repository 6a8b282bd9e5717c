import type { Anthropic } from '@anthropic-ai/sdk'
import type { GenerationEvent } from '../../inference/inference.ts'
import { type AnswerPiece, ChoiceReader } from '../choice-reader.ts'
import { type GenerationSink, UsageSum } from '../generation.ts'
import { type MessageOptions, toolUsePrefix } from './message-options.ts'
import { toMessageStop } from './message-stop.ts'
import { toMessageUsage } from './message-usage.ts'
import { signThinking } from './sign-thinking.ts'

interface Block {
  readonly type: 'text' | 'thinking' | 'tool_use'
  text: string
  readonly id: string
  readonly name: string
}

/** Collects a message that is sent as one JSON body. */
export class MessageAnswer implements GenerationSink {
  readonly #options: MessageOptions
  readonly #reader: ChoiceReader
  readonly #blocks: Block[] = []
  readonly #usage = new UsageSum()
  #stop: ReturnType<typeof toMessageStop> | null = null

  constructor (options: MessageOptions) {
    this.#options = options
    this.#reader = new ChoiceReader(options.format, toolUsePrefix)
  }

  take (_prompt: number, event: GenerationEvent): void {
    switch (event.type) {
      case 'text':
        this.#add(this.#reader.take(event))
        break
      case 'choice-finished':
        this.#add(this.#reader.end())
        this.#stop = toMessageStop(this.#reader.reasonFor(event.reason), event, this.#options.maxTokens)
        break
      case 'finished':
        this.#usage.add(event)
        this.#usage.reasoningTokens = this.#reader.reasoningTokens
        break
      case 'accepted':
      case 'choice-started':
    }
  }

  #add (pieces: readonly AnswerPiece[]): void {
    for (const piece of pieces) {
      switch (piece.type) {
        case 'content':
          this.#addText('text', piece.text)
          break
        case 'reasoning':
          this.#addText('thinking', piece.text)
          break
        case 'call':
          this.#blocks.push({ type: 'tool_use', text: '', id: piece.id, name: piece.name })
          break
        case 'arguments':
          this.#addText('tool_use', piece.text)
      }
    }
  }

  #addText (type: Block['type'], text: string): void {
    const last = this.#blocks.at(-1)
    if (last?.type === type) last.text += text
    else if (text !== '') this.#blocks.push({ type, text, id: '', name: '' })
  }

  toJson () {
    const { identity: { id, model, serviceTier }, showsThinking } = this.#options
    return {
      id,
      type: 'message',
      role: 'assistant',
      model,
      content: this.#blocks.map((block) => toContentBlock(block, showsThinking)),
      stop_reason: this.#stop?.stop_reason ?? null,
      stop_sequence: this.#stop?.stop_sequence ?? null,
      stop_details: null,
      container: null,
      diagnostics: null,
      usage: toMessageUsage(this.#usage, serviceTier)
    } satisfies Anthropic.Message
  }
}

function toContentBlock ({ type, text, id, name }: Block, showsThinking: boolean): Anthropic.ContentBlock {
  switch (type) {
    case 'text': return { type, text, citations: null }
    case 'thinking': return { type, thinking: showsThinking ? text : '', signature: signThinking(text) }
    case 'tool_use': return { type, id, name, input: toInput(text), caller: { type: 'direct' } }
  }
}

/** What is no JSON object, because the model or a limit broke it off, stays the text that it is: no tool may run with less than was meant. */
function toInput (text: string): unknown {
  if (text === '') return {}
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? value : text
  } catch {
    return text
  }
}
