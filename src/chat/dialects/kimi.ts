import { gbnfLiteral } from '../structured/gbnf-text.ts'
import type { AnswerReader, Reading } from './answer-reader.ts'
import { callSection } from './call-section.ts'
import { readContentWithCalls } from './content-with-calls.ts'
import type { Dialect } from './dialect.ts'
import { anyOf, oneOrMore } from './gbnf.ts'

const begin = '<|tool_calls_section_begin|>'
const end = '<|tool_calls_section_end|>'
const callBegin = '<|tool_call_begin|>'
const callEnd = '<|tool_call_end|>'
const argumentMarker = '<|tool_call_argument_begin|>'

/**
 * Moonshot's Kimi K2: between the section's markers, for each call an id that holds the tool's name (`functions.name:0`) and
 * the arguments.
 */
export const kimi: Dialect = {
  name: 'kimi',
  controlTexts: [begin, end, callBegin, callEnd, argumentMarker],
  recognises: (template) => template.includes(begin) || template.includes('tool_declare<|im_middle|>'),
  write: (name, argumentText) => `${begin}${callBegin}functions.${name}:0${argumentMarker}${argumentText}${callEnd}${end}`,

  * read (reader, writer) {
    yield * readContentWithCalls(reader, writer, callSection({ beginnings: [begin, '<|tool_call_section_begin|>'], end, callBegin, callEnd, readName }))
  },

  optionalCalls: (tools, context) => ({ trigger: begin, calls: kimi.calls(tools, context) }),

  calls: (tools, context) => {
    const call = anyOf(tools, context, ({ name, rule }) =>
      `${gbnfLiteral(`${callBegin}functions.${name}:`)} [0-9]{1,4} ${gbnfLiteral(argumentMarker)} ${rule} ${gbnfLiteral(callEnd)}`)
    return `${gbnfLiteral(begin)} ${oneOrMore(call, '', context)} ${gbnfLiteral(end)}`
  }
}

function * readName (reader: AnswerReader): Reading<string | null> {
  let id = ''
  if ((yield * reader.until([argumentMarker, callEnd, end], (text) => { id += text })) !== argumentMarker) return null
  yield * reader.space()
  return /^(?:functions\.)?(.+?)(?::\d+)?$/s.exec(id.trim())?.[1] ?? null
}
