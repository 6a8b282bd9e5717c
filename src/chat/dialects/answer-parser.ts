import type { ParameterTypes } from '../structured/parameter-types.ts'
import type { AnswerPart } from './answer-part.ts'
import { AnswerReader, type Reading } from './answer-reader.ts'
import { AnswerWriter } from './answer-writer.ts'
import type { Dialect, ReadContext } from './dialect.ts'
import { openReasoning, readReasoning } from './reasoning.ts'

/** What decides how an answer is read. */
export interface AnswerFormat extends Pick<ReadContext, 'template' | 'prompt' | 'continuesContent'> {
  readonly dialect: Dialect
  /** The request's tools by name; null where it has none, so that what looks like a call is content. */
  readonly tools: ReadonlyMap<string, ParameterTypes> | null
  /** Whether reasoning is told apart; otherwise it stays in the content. */
  readonly splitsReasoning: boolean
  /** Calls beyond these are left out: the client asked for no more. */
  readonly mostCalls: number
}

/** Takes one answer's text as it comes, and gives its parts. The parts do not depend on how the text was cut. */
export class AnswerParser {
  readonly #reader = new AnswerReader()
  readonly #writer: AnswerWriter
  readonly #reading: Reading<void>
  readonly #mostCalls: number
  #isPlain = false

  constructor (format: AnswerFormat) {
    this.#writer = new AnswerWriter({ mayHaveCalls: format.tools !== null || format.dialect.framesAnswers === true })
    this.#mostCalls = format.mostCalls
    this.#reading = readAnswer(this.#reader, this.#writer, format)
  }

  /** Whether the answer holds a call so far. */
  get hasCalls (): boolean { return this.#writer.calls > 0 }

  /** The parts that this text completes. */
  push (text: string): readonly AnswerPart[] {
    if (this.#isPlain) return text === '' ? [] : [{ type: 'content', text }]
    this.#reader.push(text)
    this.#read()
    return this.#take()
  }

  /** The rest, when the answer has ended. */
  end (): readonly AnswerPart[] {
    if (this.#isPlain) return []
    this.#reader.end()
    this.#read()
    this.#writer.end()
    return this.#take()
  }

  #take (): readonly AnswerPart[] {
    const parts = this.#writer.take()
    return this.#writer.calls <= this.#mostCalls ? parts : parts.filter((part) => !('call' in part) || part.call < this.#mostCalls)
  }

  #read (): void {
    if (this.#reading.next().done !== true) return
    const rest = this.#reader.rest()
    if (rest !== '') this.#writer.content(rest)
    this.#isPlain = !this.#writer.holdsBack
  }
}

function * readAnswer (
  reader: AnswerReader, writer: AnswerWriter, { dialect, template, prompt, tools, splitsReasoning, continuesContent }: AnswerFormat
): Reading<void> {
  if (splitsReasoning && dialect.readsReasoning !== true) {
    const opened = openReasoning(prompt)
    if (opened !== null || !continuesContent) yield * readReasoning(reader, writer, opened)
  }
  if (tools === null && dialect.framesAnswers !== true) return
  yield * dialect.read(reader, writer, {
    template,
    prompt,
    continuesContent,
    hasTools: tools !== null,
    isTool: (name) => tools?.has(name) ?? false,
    typesOf: (tool, parameter) => tools?.get(tool)?.of(parameter) ?? null
  })
}
