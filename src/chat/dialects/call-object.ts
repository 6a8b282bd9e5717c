import type { AnswerReader, Reading } from './answer-reader.ts'
import type { AnswerWriter } from './answer-writer.ts'

const nameKeys = new Set(['name', 'function', 'tool_name', 'tool'])
const argumentKeys = new Set(['arguments', 'parameters', 'args', 'input'])

/**
 * - `whole`: the object was a call.
 * - `broken`: a call has begun, and then came something that is not JSON.
 * - `none`: it was no call, and nothing was written.
 */
export type CallOutcome = 'whole' | 'broken' | 'none'

/** What is known of a call so far. */
interface Draft {
  readonly isTool: ((name: string) => boolean) | null
  name: string | null
  /** Arguments that came before the name. */
  early: string | null
  hasBegun: boolean
  hasArguments: boolean
}

/**
 * Reads `{"name": …, "arguments": …}`, also with its members in the other order, under other usual names, or in OpenAI's
 * own form (`{"type": "function", "function": {…}}`). The arguments are given on as they come. Arguments that are JSON in a
 * string are taken out of it; missing ones are `{}`.
 *
 * @param isTool for objects that no marker announces as calls: only one that names a tool and has arguments is a call.
 * Where it is absent, any name makes a call, at once.
 */
export function * readCallObject (reader: AnswerReader, writer: AnswerWriter, isTool: ((name: string) => boolean) | null): Reading<CallOutcome> {
  const draft: Draft = { isTool, name: null, early: null, hasBegun: false, hasArguments: false }
  const isWhole = yield * readMembers(reader, writer, draft)
  if (!draft.hasBegun) return 'none'
  if (isWhole && !draft.hasArguments) writer.argumentText('{}')
  return isWhole ? 'whole' : 'broken'
}

/** Begins the call as soon as enough is known of it, with the arguments that came before. */
function begin (writer: AnswerWriter, draft: Draft): void {
  if (draft.name === null || draft.hasBegun || (draft.isTool !== null && !draft.hasArguments)) return
  draft.hasBegun = true
  writer.startCall(draft.name)
  if (draft.early !== null) writer.argumentText(draft.early)
}

/** @param isInner whether it is the object of `function`, which has no other within */
function * readMembers (reader: AnswerReader, writer: AnswerWriter, draft: Draft, isInner = false): Reading<boolean> {
  if (!(yield * reader.skip('{'))) return false
  yield * reader.space()
  if (yield * reader.skip('}')) return true
  while (true) {
    const key = yield * readString(reader)
    if (key === null) return false
    yield * reader.space()
    if (!(yield * reader.skip(':'))) return false
    yield * reader.space()
    const first = yield * reader.peek()
    if (nameKeys.has(key) && first === '"' && draft.name === null) {
      const name = yield * readString(reader)
      if (name === null || (draft.isTool !== null && !draft.isTool(name))) return false
      draft.name = name
      begin(writer, draft)
    } else if (key === 'function' && first === '{' && !isInner) {
      if (!(yield * readMembers(reader, writer, draft, true))) return false
    } else if (argumentKeys.has(key) && !draft.hasArguments) {
      if (!(yield * readArguments(reader, writer, draft, first))) return false
    } else if (!(yield * reader.json())) {
      return false
    }
    yield * reader.space()
    if (yield * reader.skip('}')) return true
    if (!(yield * reader.skip(','))) return false
    yield * reader.space()
  }
}

function * readArguments (reader: AnswerReader, writer: AnswerWriter, draft: Draft, first: string): Reading<boolean> {
  draft.hasArguments = true
  if (draft.name !== null && first === '{') {
    begin(writer, draft)
    return yield * reader.json((text) => writer.argumentText(text))
  }
  let text = ''
  const isWhole = yield * reader.json((piece) => { text += piece })
  const argumentText = unwrap(text)
  if (draft.hasBegun) {
    writer.argumentText(argumentText)
  } else {
    draft.early = argumentText
    begin(writer, draft)
  }
  return isWhole
}

/** Arguments in a string are that string; null is no arguments. */
function unwrap (text: string): string {
  if (text === 'null') return '{}'
  const inner = text.startsWith('"') ? stringOf(text) : null
  return inner === null ? text : inner.trim() === '' ? '{}' : inner
}

function * readString (reader: AnswerReader): Reading<string | null> {
  if ((yield * reader.peek()) !== '"') return null
  let text = ''
  const isWhole = yield * reader.json((piece) => { text += piece })
  return isWhole ? stringOf(text) : null
}

function stringOf (text: string): string | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'string' ? value : null
  } catch {
    return null
  }
}

/**
 * Reads one call object or a list of them.
 * @returns the outcome of the last one that was no whole call; `whole` when all were
 */
export function * readCallList (reader: AnswerReader, writer: AnswerWriter, isTool: ((name: string) => boolean) | null): Reading<CallOutcome> {
  if (!(yield * reader.skip('['))) return yield * readCallObject(reader, writer, isTool)
  let outcome: CallOutcome = 'none'
  while (true) {
    yield * reader.space()
    if (yield * reader.skip(']')) return outcome
    const next = yield * readCallObject(reader, writer, isTool)
    if (next !== 'whole') return outcome === 'whole' ? 'broken' : next
    outcome = 'whole'
    yield * reader.space()
    if (yield * reader.skip(']')) return 'whole'
    if (!(yield * reader.skip(','))) return 'broken'
  }
}
