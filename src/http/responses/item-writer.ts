import type { AnswerPiece } from '../choice-reader.ts'
import { toChatLogprobs } from '../logprobs.ts'
import { createItemId } from './item-id.ts'
import { writePortableReasoning } from './portable-reasoning.ts'
import type { ResponseEvent } from './response-events.ts'
import type { FunctionCall, OutputItem, OutputLogprob, OutputMessage, OutputText, ReasoningItem } from './response-item.ts'

export interface ItemWriterOptions {
  /** Gets the items, each as soon as it begins. */
  readonly output: OutputItem[]
  readonly emit: (event: ResponseEvent) => void
  /** Whether reasoning goes into the summary, which is where some clients look, instead of the content. */
  readonly tellsSummary: boolean
  readonly tellsPortableReasoning: boolean
}

/** An item that more pieces may belong to. */
interface OpenItem {
  readonly kind: 'content' | 'reasoning' | 'call'
  readonly item: OutputItem
  /** More of its text; tells it as a delta. */
  readonly add: (text: string, logprobs: OutputLogprob[]) => void
  /** Sends the events that go before the one which says that the item is done. */
  readonly end: () => void
}

/** What all events of an item say. */
interface Place {
  readonly item_id: string
  readonly output_index: number
}

interface TextWriter {
  readonly add: (delta: string) => void
  readonly end: () => void
}

/** Puts the pieces of an answer together to items, and tells each step as an event. */
export class ItemWriter {
  readonly #options: ItemWriterOptions
  #open: OpenItem | null = null

  constructor (options: ItemWriterOptions) {
    this.#options = options
  }

  take (piece: AnswerPiece): void {
    switch (piece.type) {
      case 'content':
        // Log-probabilities of what has no text belong to a text or to nothing.
        if (piece.text === '' && this.#open?.kind !== 'content') return
        this.#openOr('content', () => this.#beginMessage()).add(piece.text, piece.logprobs === undefined ? [] : toChatLogprobs(piece.logprobs))
        return
      case 'reasoning':
        this.#openOr('reasoning', () => this.#beginReasoning()).add(piece.text, [])
        return
      case 'call':
        this.#beginCall(piece.id, piece.name)
        return
      case 'arguments':
        // They follow their call.
        if (this.#open?.kind === 'call') this.#open.add(piece.text, [])
    }
  }

  /** Ends the last item. An answer without anything is an empty message. */
  end (status: 'completed' | 'incomplete'): void {
    if (this.#options.output.length === 0) this.#beginMessage()
    this.#close(status)
  }

  /** Leaves the last item as it is, without further events. */
  abandon (): void {
    if (this.#open !== null) this.#open.item.status = 'incomplete'
    this.#open = null
  }

  get #index (): number { return this.#options.output.length - 1 }

  #openOr (kind: OpenItem['kind'], begin: () => OpenItem): OpenItem {
    return this.#open?.kind === kind ? this.#open : begin()
  }

  #close (status: 'completed' | 'incomplete'): void {
    const open = this.#open
    if (open === null) return
    this.#open = null
    open.item.status = status
    open.end()
    this.#options.emit({ type: 'response.output_item.done', output_index: this.#index, item: open.item })
  }

  /** Ends the item before, and gives what the events of this one say of it. */
  #add (item: OutputItem): Place {
    this.#close('completed')
    this.#options.output.push(item)
    this.#options.emit({ type: 'response.output_item.added', output_index: this.#index, item })
    return { item_id: item.id, output_index: this.#index }
  }

  #beginMessage (): OpenItem {
    const { emit } = this.#options
    const item: OutputMessage = { id: createItemId('message'), type: 'message', status: 'in_progress', role: 'assistant', content: [] }
    const part: OutputText = { type: 'output_text', text: '', annotations: [], logprobs: [] }
    const place = { ...this.#add(item), content_index: 0 }
    item.content.push(part)
    emit({ type: 'response.content_part.added', ...place, part })
    const open: OpenItem = {
      kind: 'content',
      item,
      add: (delta, logprobs) => {
        part.text += delta
        part.logprobs.push(...logprobs)
        emit({ type: 'response.output_text.delta', ...place, delta, logprobs })
      },
      end: () => {
        emit({ type: 'response.output_text.done', ...place, text: part.text, logprobs: part.logprobs })
        emit({ type: 'response.content_part.done', ...place, part })
      }
    }
    this.#open = open
    return open
  }

  #beginReasoning (): OpenItem {
    const { tellsSummary, tellsPortableReasoning } = this.#options
    const item: ReasoningItem = { id: createItemId('reasoning'), type: 'reasoning', status: 'in_progress', summary: [], content: [], encrypted_content: null }
    const place = this.#add(item)
    const writer = tellsSummary ? this.#beginSummary(item, place) : this.#beginReasoningText(item, place)
    let all = ''
    const open: OpenItem = {
      kind: 'reasoning',
      item,
      add: (delta) => {
        all += delta
        writer.add(delta)
      },
      end: () => {
        writer.end()
        if (tellsPortableReasoning) item.encrypted_content = writePortableReasoning(all)
      }
    }
    this.#open = open
    return open
  }

  #beginSummary (item: ReasoningItem, where: Place): TextWriter {
    const { emit } = this.#options
    const part: ReasoningItem['summary'][number] = { type: 'summary_text', text: '' }
    const place = { ...where, summary_index: 0 }
    item.summary.push(part)
    emit({ type: 'response.reasoning_summary_part.added', ...place, part })
    return {
      add: (delta) => {
        part.text += delta
        emit({ type: 'response.reasoning_summary_text.delta', ...place, delta })
      },
      end: () => {
        emit({ type: 'response.reasoning_summary_text.done', ...place, text: part.text })
        emit({ type: 'response.reasoning_summary_part.done', ...place, part })
      }
    }
  }

  #beginReasoningText (item: ReasoningItem, where: Place): TextWriter {
    const { emit } = this.#options
    const part: ReasoningItem['content'][number] = { type: 'reasoning_text', text: '' }
    const place = { ...where, content_index: 0 }
    item.content.push(part)
    emit({ type: 'response.content_part.added', ...place, part })
    return {
      add: (delta) => {
        part.text += delta
        emit({ type: 'response.reasoning_text.delta', ...place, delta })
      },
      end: () => {
        emit({ type: 'response.reasoning_text.done', ...place, text: part.text })
        emit({ type: 'response.content_part.done', ...place, part })
      }
    }
  }

  #beginCall (callId: string, name: string): void {
    const { emit } = this.#options
    const item: FunctionCall = { id: createItemId('function_call'), type: 'function_call', status: 'in_progress', call_id: callId, name, arguments: '' }
    const place = this.#add(item)
    this.#open = {
      kind: 'call',
      item,
      add: (delta) => {
        item.arguments += delta
        emit({ type: 'response.function_call_arguments.delta', ...place, delta })
      },
      end: () => emit({ type: 'response.function_call_arguments.done', ...place, name, arguments: item.arguments })
    }
  }
}
