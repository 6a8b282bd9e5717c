import { announced, readContentWithCalls } from './content-with-calls.ts'
import type { Dialect } from './dialect.ts'
import { callObjectList } from './gbnf.ts'

const open = '<TOOLCALL>'
const close = '</TOOLCALL>'

/** NVIDIA's Llama Nemotron and Nemotron Nano 2: `<TOOLCALL>` and a list of call objects. Nemotron 3 writes calls as Qwen3-Coder does. */
export const nemotron: Dialect = {
  name: 'nemotron',
  controlTexts: [open, close],
  recognises: (template) => template.includes(open),
  write: (name, argumentText) => `${open}[{"name": "${name}", "arguments": ${argumentText}}]${close}`,

  * read (reader, writer) {
    yield * readContentWithCalls(reader, writer, [announced({ marker: open, close })])
  },

  calls: (tools, context) => callObjectList(tools, context, open, close),
  optionalCalls: (tools, context) => ({ trigger: open, calls: nemotron.calls(tools, context) })
}
