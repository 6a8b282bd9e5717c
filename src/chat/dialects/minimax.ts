import { gbnfLiteral } from '../structured/gbnf-text.ts'
import type { ParameterForm } from '../structured/parameter-grammar.ts'
import type { AnswerReader, Reading } from './answer-reader.ts'
import type { AnswerWriter } from './answer-writer.ts'
import { type CallOutcome, readCallList } from './call-object.ts'
import { announced, readContentWithCalls } from './content-with-calls.ts'
import type { Dialect, ReadContext } from './dialect.ts'
import { anyOf, oneOrMore } from './gbnf.ts'
import { readParameters, writeParameters } from './parameters.ts'

const open = '<minimax:tool_call>'
const close = '</minimax:tool_call>'
const invoke = '<invoke name="'
const invokeEnd = '</invoke>'
const valueEnd = '</parameter>'

const form: ParameterForm = {
  open: (name) => `<parameter name="${name}">`, name: /^[^<>"\n]+$/, end: { before: '', marker: valueEnd, after: '\n' }, separator: ''
}

/** MiniMax M2: `<minimax:tool_call>` around calls like `<invoke name="name"><parameter name="key">…</parameter></invoke>`. */
export const minimax: Dialect = {
  name: 'minimax',
  controlTexts: [open, close],
  recognises: (template) => template.includes(open),
  parameterForm: () => form,
  write: (name, argumentText) => `${open}\n${invoke}${name}">\n${writeParameters(argumentText, form)}${invokeEnd}\n${close}`,

  * read (reader, writer, context) {
    yield * readContentWithCalls(reader, writer, [announced({ marker: open, close, read: () => readCalls(reader, writer, context) })])
  },

  optionalCalls: (tools, context) => ({ trigger: open, calls: minimax.calls(tools, context) }),

  calls: (tools, context) => {
    const call = anyOf(tools, context, ({ name, rule }) => `${gbnfLiteral(`${invoke}${name}">\n`)} ${rule} ${gbnfLiteral(`${invokeEnd}\n`)}`)
    return `${gbnfLiteral(`${open}\n`)} ${oneOrMore(call, '', context)} ${gbnfLiteral(close)}`
  }
}

function * readCalls (reader: AnswerReader, writer: AnswerWriter, { typesOf }: ReadContext): Reading<CallOutcome> {
  if (/[[{]/.test(yield * reader.peek())) return yield * readCallList(reader, writer, null)
  let outcome: CallOutcome = 'none'
  while (yield * reader.skip(invoke)) {
    let name = ''
    if ((yield * reader.until(['">', '\n'], (text) => { name += text })) !== '">') return outcome === 'none' ? 'none' : 'broken'
    writer.startCall(name)
    outcome = yield * readParameters(reader, writer, { open: '<parameter name="', named: '">', value: null, close: valueEnd, isOnLines: false, ends: [invokeEnd, close] }, (parameter) => typesOf(name, parameter))
    if (outcome === 'broken') return outcome
    yield * reader.skip(invokeEnd)
    yield * reader.space()
  }
  return outcome
}
