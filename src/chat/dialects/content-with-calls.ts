import type { AnswerReader, Reading } from './answer-reader.ts'
import type { AnswerWriter } from './answer-writer.ts'
import { type CallOutcome, readCallList, readCallObject } from './call-object.ts'

/** A marker and what to read after it; what is read must end where content may go on. */
export interface Opener {
  readonly marker: string
  readonly read: (reader: AnswerReader, writer: AnswerWriter) => Reading<void>
}

/** Reads content with calls among it, to the end of the answer. */
export function * readContentWithCalls (reader: AnswerReader, writer: AnswerWriter, openers: readonly Opener[]): Reading<void> {
  const markers = openers.map(({ marker }) => marker)
  while (true) {
    const found = yield * reader.until(markers, (text) => writer.content(text))
    if (found === null) return
    const opener = openers.find(({ marker }) => marker === found)
    if (opener !== undefined) yield * opener.read(reader, writer)
  }
}

export interface AnnouncedCalls {
  readonly marker: string
  /** What ends the calls; null where nothing does. */
  readonly close: string | null
  /** Reads what follows the marker and white space; call objects, one or a list, unless said otherwise. */
  readonly read?: (reader: AnswerReader, writer: AnswerWriter) => Reading<CallOutcome>
}

/**
 * A marker with calls behind it. What is no call stays content, marker included. Where a call breaks off, the rest up to the
 * end of the calls is given as its arguments.
 */
export function announced ({ marker, close, read = readAnyCalls }: AnnouncedCalls): Opener {
  return {
    marker,
    * read (reader, writer) {
      reader.record()
      yield * reader.space()
      const outcome = yield * read(reader, writer)
      const consumed = reader.recorded()
      if (outcome === 'none') {
        writer.content(marker + consumed)
      } else if (outcome === 'broken') {
        yield * reader.upTo([close ?? marker], (text) => writer.argumentText(text))
        if (close !== null) yield * reader.skip(close)
      } else if (close !== null) {
        // A brace too many, say: left out when the calls are closed all the same.
        let rest = ''
        const found = yield * reader.upTo([close, marker], (text) => { rest += text })
        if (found === null) writer.content(rest)
        if (found === close) yield * reader.skip(close)
      }
    }
  }
}

const readAnyCalls = (reader: AnswerReader, writer: AnswerWriter): Reading<CallOutcome> => readCallList(reader, writer, null)

/**
 * Calls without any marker, as the answer's beginning: an object or a list of objects that name one of the tools, then more
 * of them after `;`, `,` or white space. What is no call becomes content.
 * @returns whether there was a call
 */
export function * readBareCalls (reader: AnswerReader, writer: AnswerWriter, isTool: (name: string) => boolean): Reading<boolean> {
  reader.record()
  yield * reader.space()
  const first = yield * reader.peek()
  const outcome = first === '{' || first === '[' ? yield * readCallList(reader, writer, isTool) : 'none'
  const consumed = reader.recorded()
  if (outcome === 'none') {
    writer.content(consumed)
    return false
  }
  let last: CallOutcome = outcome
  while (last === 'whole') {
    reader.record()
    yield * reader.while(/[\s;,]/)
    last = (yield * reader.peek()) === '{' ? yield * readCallObject(reader, writer, isTool) : 'none'
    const more = reader.recorded()
    if (last === 'none') writer.content(more)
  }
  if (last === 'broken') yield * reader.until([], (text) => writer.argumentText(text))
  return true
}
