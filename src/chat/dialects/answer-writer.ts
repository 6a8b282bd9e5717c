import type { AnswerPart } from './answer-part.ts'

/**
 * Collects the parts that a dialect reads out of an answer.
 *
 * White space between content and its neighbours is part of the format, not of the content: at the start of content after
 * reasoning or a call, and at its end in an answer with calls, it is left out. White space at the end of content is
 * therefore held back until it is known what follows.
 */
export class AnswerWriter {
  #parts: AnswerPart[] = []
  readonly #mayHaveCalls: boolean
  #calls = 0
  #hasContent = false
  #hasReasoning = false
  #heldSpace = ''
  #heldReasoningSpace = ''
  /** Goes before the next content where the format has begun another message. */
  #separator = ''
  /** White space before that, for the case that nothing follows. */
  #lastSpace = ''

  constructor (options: { readonly mayHaveCalls: boolean }) {
    this.#mayHaveCalls = options.mayHaveCalls
  }

  /** How many calls have begun. */
  get calls (): number { return this.#calls }

  /** Whether white space is, or may be, held back or left out. */
  get holdsBack (): boolean { return this.#mayHaveCalls || (this.#hasReasoning && !this.#hasContent) }

  content (text: string): void {
    const all = this.#heldSpace + text
    const kept = !this.#hasContent && (this.#hasReasoning || this.#calls > 0) ? all.trimStart() : all
    const shown = this.#mayHaveCalls ? kept.trimEnd() : kept
    this.#heldSpace = kept.slice(shown.length)
    if (shown === '') return
    this.#hasContent = true
    this.#add({ type: 'content', text: this.#separator + shown })
    this.#separator = ''
    this.#lastSpace = ''
  }

  /** Content that comes after this is another message of the format, and becomes another paragraph. */
  endContent (): void {
    if (!this.#hasContent) return
    this.#separator = '\n\n'
    this.#lastSpace = this.#heldSpace
    this.#heldSpace = ''
  }

  reasoning (text: string): void {
    const all = this.#heldReasoningSpace + text
    const kept = this.#hasReasoning ? all : all.trimStart()
    const shown = kept.trimEnd()
    this.#heldReasoningSpace = kept.slice(shown.length)
    if (shown === '') return
    this.#hasReasoning = true
    this.#add({ type: 'reasoning', text: shown })
  }

  /** Content that begins after this is separated from the reasoning by the format alone, even where that was empty. */
  endReasoning (): void {
    if (this.#hasReasoning) this.#heldReasoningSpace = '\n\n'
    this.#hasReasoning = true
  }

  startCall (name: string): void {
    this.#add({ type: 'call-started', call: this.#calls++, name })
  }

  /** More of the arguments of the call that began last. */
  argumentText (text: string): void {
    if (text !== '') this.#add({ type: 'call-arguments', call: this.#calls - 1, text })
  }

  end (): void {
    const space = this.#lastSpace + this.#heldSpace
    if (this.#calls === 0 && space !== '') this.#add({ type: 'content', text: space })
    this.#lastSpace = this.#heldSpace = ''
  }

  /** What was collected since the last time. */
  take (): readonly AnswerPart[] {
    const parts = this.#parts
    if (parts.length > 0) this.#parts = []
    return parts
  }

  #add (part: AnswerPart): void {
    const last = this.#parts.at(-1)
    if (last !== undefined && 'text' in last && 'text' in part && last.type === part.type) {
      this.#parts[this.#parts.length - 1] = { ...last, text: last.text + part.text }
    } else {
      this.#parts.push(part)
    }
  }
}
