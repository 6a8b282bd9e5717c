import { callTag, readContentWithCalls } from './content-with-calls.ts'
import { readCallList } from './call-object.ts'
import type { Dialect } from './dialect.ts'
import { anyOf, literal, oneOrMore } from './gbnf.ts'

const open = '<|tool_call|>'

/** IBM Granite 3: `<|tool_call|>` (or `<tool_call>`) and a list of call objects. Granite 4 writes calls as Hermes does. */
export const granite: Dialect = {
  name: 'granite',
  controlTexts: [open, '<tool_call>', '</tool_call>'],
  recognises: (template) => template.includes('<|start_of_role|>') && !template.includes('</tool_call>'),
  write: (name, argumentText) => `${open}[{"name": "${name}", "arguments": ${argumentText}}]`,

  * read (reader, writer) {
    yield * readContentWithCalls(reader, writer, [
      {
        marker: open,
        * read () {
          reader.record()
          yield * reader.space()
          const outcome = yield * readCallList(reader, writer, null)
          const consumed = reader.recorded()
          if (outcome === 'none') writer.content(open + consumed)
          else if (outcome === 'broken') yield * reader.upTo([open], (text) => writer.argumentText(text))
        }
      },
      callTag('<tool_call>', '</tool_call>')
    ])
  },

  optionalCalls: (tools, context) => ({ trigger: open, calls: granite.calls(tools, context) }),

  calls: (tools, context) => {
    const object = anyOf(tools, context, ({ name, rule }) => `${literal(`{"name": "${name}", "arguments": `)} ${rule} "}"`)
    return `${literal(`${open}[`)} ${oneOrMore(object, ', ', context)} "]"`
  }
}
