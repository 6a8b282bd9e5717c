import { gbnfLiteral } from '../structured/gbnf-text.ts'
import type { ParameterForm } from '../structured/parameter-grammar.ts'
import type { AnswerReader, Reading } from './answer-reader.ts'
import type { AnswerWriter } from './answer-writer.ts'
import { type CallOutcome, readCallList } from './call-object.ts'
import { announced, readContentWithCalls } from './content-with-calls.ts'
import type { Dialect, ReadContext } from './dialect.ts'
import { anyOf, oneOrMore } from './gbnf.ts'
import { readParameters, writeParameters } from './parameters.ts'

const functionTag = '<function='
const functionEnd = '</function>'
const valueEnd = '</parameter>'

const isSeed = (template: string): boolean => template.includes('<seed:tool_call>')
const tagsOf = (template: string) => isSeed(template)
  ? { open: '<seed:tool_call>', close: '</seed:tool_call>' }
  : { open: '<tool_call>', close: '</tool_call>' }

const lines: ParameterForm = {
  open: (name) => `<parameter=${name}>\n`, name: /^[^<>\n]+$/, end: { before: '\n', marker: valueEnd, after: '\n' }, separator: ''
}
const seedForm: ParameterForm = {
  open: (name) => `<parameter=${name}>`, name: /^[^<>\n]+$/, end: { before: '', marker: valueEnd, after: '\n' }, separator: ''
}
const formOf = (template: string): ParameterForm => isSeed(template) ? seedForm : lines

/**
 * Qwen3-Coder, Qwen 3.5, Nemotron 3 and others: `<tool_call><function=name><parameter=key>…</parameter></function></tool_call>`, each
 * value in lines of its own. Seed-OSS writes the same with `<seed:tool_call>` and without the lines.
 */
export const qwenCoder: Dialect = {
  name: 'qwen-coder',
  controlTexts: ['<tool_call>', '</tool_call>', '<seed:tool_call>', '</seed:tool_call>'],
  recognises: (template) => template.includes(functionTag) && template.includes('<parameter='),
  parameterForm: formOf,
  write: (name, argumentText, template) => {
    const { open, close } = tagsOf(template)
    return `${open}\n${functionTag}${name}>\n${writeParameters(argumentText, formOf(template))}${functionEnd}\n${close}`
  },

  * read (reader, writer, context) {
    const { open, close } = tagsOf(context.template)
    yield * readContentWithCalls(reader, writer, [
      announced({
        marker: open,
        close,
        * read () {
          if (yield * reader.skip(functionTag)) return yield * readFunction(reader, writer, context, close)
          return yield * readCallList(reader, writer, null)
        }
      }),
      // Models leave the outer tag out at times.
      announced({ marker: functionTag, close: null, read: () => readFunction(reader, writer, context, close) })
    ])
  },

  optionalCalls: (tools, context) => ({ trigger: tagsOf(context.template).open, calls: qwenCoder.calls(tools, context) }),

  calls: (tools, context) => {
    const { open, close } = tagsOf(context.template)
    const call = anyOf(tools, context, ({ name, rule }) => `${gbnfLiteral(`${functionTag}${name}>\n`)} ${rule}`)
    return oneOrMore(`(${gbnfLiteral(`${open}\n`)} ${call} ${gbnfLiteral(`${functionEnd}\n${close}`)})`, '\n', context)
  }
}

function * readFunction (reader: AnswerReader, writer: AnswerWriter, { typesOf, template }: ReadContext, close: string): Reading<CallOutcome> {
  let name = ''
  if ((yield * reader.upTo(['>', '<', '\n'], (text) => { name += text })) !== '>' || name.trim() === '') return 'none'
  yield * reader.skip('>')
  const tool = name.trim()
  writer.startCall(tool)
  yield * reader.space()
  const ends = [functionEnd, close]
  let outcome: CallOutcome
  if ((yield * reader.peek()) === '{') {
    outcome = (yield * reader.json((text) => writer.argumentText(text))) ? 'whole' : 'broken'
    if (outcome === 'whole') yield * reader.upTo(ends)
  } else {
    outcome = yield * readParameters(reader, writer, { open: '<parameter=', named: '>', value: null, close: valueEnd, isOnLines: !isSeed(template), ends }, (parameter) => typesOf(tool, parameter))
  }
  if (outcome === 'whole') yield * reader.skip(functionEnd)
  return outcome
}
