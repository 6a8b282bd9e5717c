import { gbnfLiteral } from '../structured/gbnf-text.ts'
import { announced, readContentWithCalls } from './content-with-calls.ts'
import type { Dialect } from './dialect.ts'
import { anyOf, oneOrMore } from './gbnf.ts'

const open = '<tool_call>'
const close = '</tool_call>'

/** Nous Hermes, Qwen 2.5 and 3, and many after them: `<tool_call>{"name": …, "arguments": …}</tool_call>`. */
export const hermes: Dialect = {
  name: 'hermes',
  controlTexts: [open, close],
  recognises: (template) => template.includes(open),
  write: (name, argumentText) => `${open}\n{"name": "${name}", "arguments": ${argumentText}}\n${close}`,

  * read (reader, writer) {
    yield * readContentWithCalls(reader, writer, [announced({ marker: open, close })])
  },

  optionalCalls: (tools, context) => ({ trigger: open, calls: hermes.calls(tools, context) }),

  calls: (tools, context) => {
    const object = anyOf(tools, context, ({ name, rule }) => `${gbnfLiteral(`{"name": "${name}", "arguments": `)} ${rule}`)
    return oneOrMore(`(${gbnfLiteral(open)} "\\n"? ${object} ${gbnfLiteral(`}\n${close}`)})`, '\n', context)
  }
}
