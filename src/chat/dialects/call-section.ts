import type { AnswerReader, Reading } from './answer-reader.ts'
import type { AnswerWriter } from './answer-writer.ts'
import type { Opener } from './content-with-calls.ts'

/** Calls with a marker before and after each, and around all of them. */
export interface CallSection {
  /** Spellings of the marker before all of them. */
  readonly beginnings: readonly string[]
  readonly end: string
  readonly callBegin: string
  readonly callEnd: string
  /** Reads what stands between a call's first marker and its arguments; null where it is no call. */
  readonly readName: (reader: AnswerReader) => Reading<string | null>
}

/** Reads such calls; models leave the outer markers out at times. */
export function callSection ({ beginnings, end, callBegin, callEnd, readName }: CallSection): readonly Opener[] {
  function * readCalls (reader: AnswerReader, writer: AnswerWriter): Reading<void> {
    while (true) {
      yield * reader.space()
      if (yield * reader.skip(end)) return
      if (!(yield * reader.skip(callBegin))) return
      yield * readCall(reader, writer)
    }
  }

  function * readCall (reader: AnswerReader, writer: AnswerWriter): Reading<void> {
    reader.record()
    const name = yield * readName(reader)
    const consumed = reader.recorded()
    if (name === null) {
      writer.content(callBegin + consumed)
      return
    }
    writer.startCall(name)
    if (!(yield * reader.json((text) => writer.argumentText(text)))) {
      yield * reader.upTo([callEnd, end], (text) => writer.argumentText(text))
    }
    const marker = yield * reader.upTo([callEnd, end, callBegin])
    if (marker === callEnd) yield * reader.skip(callEnd)
  }

  return [...beginnings.map((marker) => ({ marker, read: readCalls })), { marker: callBegin, read: readCall }]
}
