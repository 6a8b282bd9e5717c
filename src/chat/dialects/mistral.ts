import type { AnswerReader, Reading } from './answer-reader.ts'
import type { AnswerWriter } from './answer-writer.ts'
import { readCallList } from './call-object.ts'
import { readContentWithCalls } from './content-with-calls.ts'
import type { Dialect } from './dialect.ts'
import { anyOf, literal, oneOrMore } from './gbnf.ts'

const open = '[TOOL_CALLS]'
const argumentsMarker = '[ARGS]'
const idMarker = '[CALL_ID]'

/**
 * Mistral, both shapes: `[TOOL_CALLS][{"name": …, "arguments": …}, …]`, and since 2025 `[TOOL_CALLS]name[ARGS]{…}` for each
 * call, with or without `[CALL_ID]` and `[ARGS]`.
 */
export const mistral: Dialect = {
  name: 'mistral',
  controlTexts: [open, argumentsMarker, idMarker],
  recognises: (template) => template.includes(open),
  write: (name, argumentText) => `${open}[{"name": "${name}", "arguments": ${argumentText}}]`,

  * read (reader, writer) {
    yield * readContentWithCalls(reader, writer, [{ marker: open, read: readCalls }])
  },

  optionalCalls: (tools, context) => ({ trigger: open, calls: mistral.calls(tools, context) }),

  calls: (tools, context) => {
    const isNamedFirst = context.template.includes(argumentsMarker)
    if (isNamedFirst) return oneOrMore(anyOf(tools, context, ({ name, rule }) => `${literal(`${open}${name}${argumentsMarker}`)} ${rule}`), '', context)
    const object = anyOf(tools, context, ({ name, rule }) => `${literal(`{"name": "${name}", "arguments": `)} ${rule} "}"`)
    return `${literal(`${open}[`)} ${oneOrMore(object, ', ', context)} "]"`
  }
}

function * readCalls (reader: AnswerReader, writer: AnswerWriter): Reading<void> {
  reader.record()
  yield * reader.space()
  const first = yield * reader.peek()
  if (first === '[' || first === '{') {
    const outcome = yield * readCallList(reader, writer, null)
    const consumed = reader.recorded()
    if (outcome === 'none') writer.content(open + consumed)
    else if (outcome === 'broken') yield * reader.upTo([open], (text) => writer.argumentText(text))
    return
  }
  let name = ''
  yield * reader.while(/[\w.-]/, (text) => { name += text })
  yield * reader.space()
  if (yield * reader.skip(idMarker)) yield * reader.while(/[\w-]/)
  const hasMarker = yield * reader.skip(argumentsMarker)
  yield * reader.space()
  const isCall = name !== '' && (hasMarker || (yield * reader.peek()) === '{')
  const consumed = reader.recorded()
  if (!isCall) {
    writer.content(open + consumed)
    return
  }
  writer.startCall(name)
  if (!(yield * reader.json((text) => writer.argumentText(text)))) {
    yield * reader.upTo([open], (text) => writer.argumentText(text))
  }
}
