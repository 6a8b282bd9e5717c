import { gbnfLiteral } from '../structured/gbnf-text.ts'
import type { AnswerReader, Reading } from './answer-reader.ts'
import { callSection } from './call-section.ts'
import { readContentWithCalls } from './content-with-calls.ts'
import type { Dialect } from './dialect.ts'
import { anyOf, oneOrMore } from './gbnf.ts'

const begin = '<｜tool▁calls▁begin｜>'
const end = '<｜tool▁calls▁end｜>'
const callBegin = '<｜tool▁call▁begin｜>'
const callEnd = '<｜tool▁call▁end｜>'
const separator = '<｜tool▁sep｜>'
/** Spellings of the first marker that the distilled models come up with. */
const beginnings = [begin, '<｜tool_calls_begin｜>', '<｜tool calls begin｜>', '<｜tool\\_calls\\_begin｜>', '<｜tool▁calls｜>']

const isFenced = (template: string): boolean => template.includes('```json')

/**
 * DeepSeek, both shapes between the tool tokens: V3 and R1 write `function`, the separator, the name, and the arguments in a
 * `json` fence; V3.1 writes the name, the separator and the arguments.
 */
export const deepseek: Dialect = {
  name: 'deepseek',
  controlTexts: [begin, end, callBegin, callEnd, separator],
  recognises: (template) => template.includes(callBegin),
  write: (name, argumentText, template) => isFenced(template)
    ? `${begin}${callBegin}function${separator}${name}\n\`\`\`json\n${argumentText}\n\`\`\`${callEnd}${end}`
    : `${begin}${callBegin}${name}${separator}${argumentText}${callEnd}${end}`,

  * read (reader, writer) {
    yield * readContentWithCalls(reader, writer, callSection({ beginnings, end, callBegin, callEnd, readName }))
  },

  optionalCalls: (tools, context) => ({ trigger: begin, calls: deepseek.calls(tools, context) }),

  calls: (tools, context) => {
    const { template } = context
    const one = anyOf(tools, context, ({ name, rule }) => isFenced(template)
      ? `${gbnfLiteral(`${callBegin}function${separator}${name}\n\`\`\`json\n`)} ${rule} ${gbnfLiteral(`\n\`\`\`${callEnd}`)}`
      : `${gbnfLiteral(`${callBegin}${name}${separator}`)} ${rule} ${gbnfLiteral(callEnd)}`)
    return `${gbnfLiteral(begin)} ${oneOrMore(one, isFenced(template) ? '\n' : '', context)} ${gbnfLiteral(end)}`
  }
}

function * readName (reader: AnswerReader): Reading<string | null> {
  let kind = ''
  if ((yield * reader.until([separator, callEnd, end], (text) => { kind += text })) !== separator) return null
  yield * reader.space()
  const next = yield * reader.peek()
  if (next === '{' || (next === '' && kind.trim() !== 'function')) return kind.trim()
  let name = ''
  yield * reader.while(/[^\n`{<]/, (text) => { name += text })
  // An answer that ends here may have half a name.
  if ((yield * reader.peek()) === '' || name.trim() === '') return null
  yield * reader.space()
  yield * reader.skip('```json')
  yield * reader.space()
  return name.trim()
}
