import { gbnfLiteral } from '../structured/gbnf-text.ts'
import type { ParameterForm } from '../structured/parameter-grammar.ts'
import type { AnswerReader, Reading } from './answer-reader.ts'
import type { AnswerWriter } from './answer-writer.ts'
import { type CallOutcome, readCallList } from './call-object.ts'
import { announced, readContentWithCalls } from './content-with-calls.ts'
import type { Dialect, ReadContext } from './dialect.ts'
import { anyOf, oneOrMore } from './gbnf.ts'
import { readParameters, writeParameters } from './parameters.ts'

const open = '<tool_call>'
const close = '</tool_call>'
const keyOpen = '<arg_key>'
const keyEnd = '</arg_key>'
const valueOpen = '<arg_value>'
const valueEnd = '</arg_value>'

/** GLM 4.7 and later write all in one line. */
const breakOf = (template: string): string => template.includes(`${keyEnd}${valueOpen}`) ? '' : '\n'

const formOf = (template: string): ParameterForm => ({
  open: (name) => `${keyOpen}${name}${keyEnd}${breakOf(template)}${valueOpen}`,
  name: /^[^<>\n]+$/,
  end: { before: '', marker: valueEnd, after: breakOf(template) },
  separator: ''
})

/** GLM 4.5 and later: `<tool_call>name`, then for each argument `<arg_key>key</arg_key><arg_value>…</arg_value>`. */
export const glm: Dialect = {
  name: 'glm',
  controlTexts: [open, close, keyOpen, keyEnd, valueOpen, valueEnd],
  recognises: (template) => template.includes(keyOpen),
  parameterForm: formOf,
  write: (name, argumentText, template) => `${open}${name}${breakOf(template)}${writeParameters(argumentText, formOf(template))}${close}`,

  * read (reader, writer, context) {
    yield * readContentWithCalls(reader, writer, [announced({ marker: open, close, read: () => readCall(reader, writer, context) })])
  },

  optionalCalls: (tools, context) => ({ trigger: open, calls: glm.calls(tools, context) }),

  calls: (tools, context) => {
    const call = anyOf(tools, context, ({ name, rule }) => `${gbnfLiteral(`${name}${breakOf(context.template)}`)} ${rule}`)
    return oneOrMore(`(${gbnfLiteral(open)} ${call} ${gbnfLiteral(close)})`, breakOf(context.template), context)
  }
}

function * readCall (reader: AnswerReader, writer: AnswerWriter, { typesOf }: ReadContext): Reading<CallOutcome> {
  if (/[[{]/.test(yield * reader.peek())) return yield * readCallList(reader, writer, null)
  let name = ''
  yield * reader.while(/[\w.-]/, (text) => { name += text })
  yield * reader.space()
  if (name === '' || !((yield * reader.comes(keyOpen)) || (yield * reader.comes(close)))) return 'none'
  writer.startCall(name)
  return yield * readParameters(reader, writer, { open: keyOpen, named: keyEnd, value: valueOpen, close: valueEnd, isOnLines: false, ends: [close] }, (parameter) => typesOf(name, parameter))
}
