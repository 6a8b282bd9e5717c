import { gbnfLiteral } from '../structured/gbnf-text.ts'
import type { AnswerReader, Reading } from './answer-reader.ts'
import type { AnswerWriter } from './answer-writer.ts'
import { type CallOutcome, readCallList } from './call-object.ts'
import { announced, readContentWithCalls } from './content-with-calls.ts'
import type { Dialect } from './dialect.ts'
import { anyOf, callObjectList, oneOrMore } from './gbnf.ts'

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
    yield * readContentWithCalls(reader, writer, [announced({ marker: open, close: null, read: readCalls })])
  },

  optionalCalls: (tools, context) => ({ trigger: open, calls: mistral.calls(tools, context) }),

  calls: (tools, context) => {
    const isNamedFirst = context.template.includes(argumentsMarker)
    if (isNamedFirst) return oneOrMore(anyOf(tools, context, ({ name, rule }) => `${gbnfLiteral(`${open}${name}${argumentsMarker}`)} ${rule}`), '', context)
    return callObjectList(tools, context, open, '')
  }
}

function * readCalls (reader: AnswerReader, writer: AnswerWriter): Reading<CallOutcome> {
  if (/[[{]/.test(yield * reader.peek())) return yield * readCallList(reader, writer, null)
  let name = ''
  yield * reader.while(/[\w.-]/, (text) => { name += text })
  yield * reader.space()
  if (yield * reader.skip(idMarker)) yield * reader.while(/[\w-]/)
  const hasMarker = yield * reader.skip(argumentsMarker)
  yield * reader.space()
  if (name === '' || !(hasMarker || (yield * reader.peek()) === '{')) return 'none'
  writer.startCall(name)
  return (yield * reader.json((text) => writer.argumentText(text))) ? 'whole' : 'broken'
}
