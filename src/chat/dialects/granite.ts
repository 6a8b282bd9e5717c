import { announced, readContentWithCalls } from './content-with-calls.ts'
import type { Dialect } from './dialect.ts'
import { callObjectList } from './gbnf.ts'

const open = '<|tool_call|>'

/** IBM Granite 3: `<|tool_call|>` (or `<tool_call>`) and a list of call objects. Granite 4 writes calls as Hermes does. */
export const granite: Dialect = {
  name: 'granite',
  controlTexts: [open, '<tool_call>', '</tool_call>'],
  recognises: (template) => template.includes('<|start_of_role|>') && !template.includes('</tool_call>'),
  write: (name, argumentText) => `${open}[{"name": "${name}", "arguments": ${argumentText}}]`,

  * read (reader, writer) {
    yield * readContentWithCalls(reader, writer, [
      announced({ marker: open, close: null }),
      announced({ marker: '<tool_call>', close: '</tool_call>' })
    ])
  },

  optionalCalls: (tools, context) => ({ trigger: open, calls: granite.calls(tools, context) }),

  calls: (tools, context) => callObjectList(tools, context, open, '')
}
