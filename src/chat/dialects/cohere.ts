import { gbnfLiteral } from '../structured/gbnf-text.ts'
import { announced, type Opener, readContentWithCalls } from './content-with-calls.ts'
import type { Dialect } from './dialect.ts'
import { anyOf, oneOrMore } from './gbnf.ts'

const open = '<|START_ACTION|>'
const close = '<|END_ACTION|>'
/** Around content; left out of it. */
const frames = ['<|START_RESPONSE|>', '<|END_RESPONSE|>', '<|START_TEXT|>', '<|END_TEXT|>']

/**
 * Cohere's Command R7B, Command A and later: `<|START_ACTION|>` and a list of call objects with `tool_name`, `parameters` and a
 * number as `tool_call_id`. Content stands between markers, too.
 */
export const cohere: Dialect = {
  name: 'cohere',
  controlTexts: [open, close, ...frames],
  framesAnswers: true,
  recognises: (template) => template.includes(open),
  write: (name, argumentText) => `${open}[\n    {"tool_call_id": "0", "tool_name": "${name}", "parameters": ${argumentText}}\n]${close}`,

  * read (reader, writer, { hasTools }) {
    const leftOut: Opener[] = frames.map((marker) => ({ marker, read: () => reader.space() }))
    yield * readContentWithCalls(reader, writer, hasTools ? [...leftOut, announced({ marker: open, close })] : leftOut)
  },

  optionalCalls: (tools, context) => ({ trigger: open, calls: cohere.calls(tools, context) }),

  calls: (tools, context) => {
    const object = anyOf(tools, context, ({ name, rule }) =>
      `${gbnfLiteral('{"tool_call_id": "')} [0-9]{1,4} ${gbnfLiteral(`", "tool_name": "${name}", "parameters": `)} ${rule} "}"`)
    return `${gbnfLiteral(`${open}[\n    `)} ${oneOrMore(object, ',\n    ', context)} ${gbnfLiteral(`\n]${close}`)}`
  }
}
