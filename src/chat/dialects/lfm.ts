import { gbnfSequence, gbnfLiteral } from '../structured/gbnf-text.ts'
import { announced, readContentWithCalls } from './content-with-calls.ts'
import type { Dialect } from './dialect.ts'
import { callObjectList } from './gbnf.ts'
import { pythonCallList, pythonForm, readPythonCalls, writePythonCall } from './python-calls.ts'

const open = '<|tool_call_start|>'
const close = '<|tool_call_end|>'

const hasObjects = (template: string): boolean => template.includes('"arguments": ')

/** Liquid AI's LFM2: a list between its markers, of Python calls or, where the template shows that, of call objects. */
export const lfm: Dialect = {
  name: 'lfm',
  controlTexts: [open, close],
  recognises: (template) => template.includes(open) || template.includes('<|tool_list_start|>'),
  parameterForm: (template) => hasObjects(template) ? null : pythonForm,
  write: (name, argumentText, template) => {
    const call = hasObjects(template) ? `{"name": "${name}", "arguments": ${argumentText}}` : writePythonCall(name, argumentText)
    return `${open}[${call}]${close}`
  },

  * read (reader, writer) {
    yield * readContentWithCalls(reader, writer, [
      announced({ marker: open, close, read: () => readPythonCalls(reader, writer, () => true) })
    ])
  },

  optionalCalls: (tools, context) => ({ trigger: open, calls: lfm.calls(tools, context) }),

  calls: (tools, context) => hasObjects(context.template)
    ? callObjectList(tools, context, open, close)
    : gbnfSequence(gbnfLiteral(open), pythonCallList(tools, context), gbnfLiteral(close))
}
