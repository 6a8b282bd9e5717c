import { argumentObject } from '../argument-object.ts'
import type { ParameterForm } from '../structured/parameter-grammar.ts'
import { argumentJson, isText } from '../structured/parameter-types.ts'
import type { AnswerReader, Reading } from './answer-reader.ts'
import type { AnswerWriter } from './answer-writer.ts'
import type { CallOutcome } from './call-object.ts'
import type { ReadContext } from './dialect.ts'

/** Markers around arguments that are written one by one. */
export interface ParameterTags {
  /** Before a name. */
  readonly open: string
  /** After the name. */
  readonly named: string
  /** Before the value, after white space; null where that begins at once. */
  readonly value: string | null
  /** After the value. */
  readonly close: string
  /** Whether values stand between line breaks that are no part of them. */
  readonly isOnLines: boolean
  /** What ends the call. */
  readonly ends: readonly string[]
}

/**
 * Reads the arguments of a call that has begun, up to what ends it, and gives them on as a JSON object. Texts have no quotes in
 * such formats; the tool's schema says what is one. What else stands between them is left out.
 */
export function * readParameters (reader: AnswerReader, writer: AnswerWriter, tags: ParameterTags, typesOf: (name: string) => ReturnType<ReadContext['typesOf']>): Reading<CallOutcome> {
  writer.argumentText('{')
  for (let separator = ''; ; separator = ', ') {
    const found = yield * reader.upTo([tags.open, ...tags.ends])
    if (found !== tags.open) {
      if (found === null) return 'broken'
      writer.argumentText('}')
      return 'whole'
    }
    yield * reader.skip(tags.open)
    let name = ''
    const isNamed = (yield * reader.until([tags.named, '\n'], (text) => { name += text })) === tags.named
    if (!isNamed) return 'broken'
    if (tags.value !== null) {
      yield * reader.space()
      if (!(yield * reader.skip(tags.value))) return 'broken'
    }
    writer.argumentText(`${separator}${JSON.stringify(name)}: `)
    if (!(yield * readValue(reader, writer, tags, typesOf(name)))) return 'broken'
  }
}

function * readValue (reader: AnswerReader, writer: AnswerWriter, { close, isOnLines }: ParameterTags, types: ReturnType<ReadContext['typesOf']>): Reading<boolean> {
  const isLine = isOnLines && (yield * reader.skip('\n'))
  const isStreamed = isText(types)
  if (isStreamed) writer.argumentText('"')
  let held = ''
  const isClosed = (yield * reader.until([close], (text) => {
    held += text
    if (!isStreamed) return
    const shown = isLine && held.endsWith('\n') ? held.slice(0, -1) : held
    held = held.slice(shown.length)
    writer.argumentText(inString(shown))
  })) !== null
  if (isStreamed) {
    writer.argumentText(isClosed ? (isLine ? '' : inString(held)) + '"' : inString(held))
  } else if (isClosed) {
    writer.argumentText(argumentJson(isLine && held.endsWith('\n') ? held.slice(0, -1) : held, types))
  } else {
    writer.argumentText(held.trim())
  }
  return isClosed
}

const inString = (text: string): string => JSON.stringify(text).slice(1, -1)

/** Arguments in a form that has texts without quotes; as they are where they are no JSON object. */
export function writeParameters (argumentText: string, { open, end, separator }: ParameterForm): string {
  const value = argumentObject(argumentText)
  if (value === null) return argumentText
  return Object.entries(value).map(([name, member]: readonly [string, unknown]) =>
    `${open(name)}${typeof member === 'string' ? member : JSON.stringify(member)}${end === null ? '' : end.before + end.marker + end.after}`).join(separator)
}
