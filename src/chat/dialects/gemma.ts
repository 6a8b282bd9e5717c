import { gbnfLiteral } from '../structured/gbnf-text.ts'
import { announced, type Opener, readBareCalls, readContentWithCalls } from './content-with-calls.ts'
import { readCallList } from './call-object.ts'
import type { Dialect } from './dialect.ts'
import { anyOf, oneOrMore } from './gbnf.ts'
import { readPythonCalls } from './python-calls.ts'

const open = '```tool_code'
const close = '```'

/**
 * A code fence with calls in it: call objects, or calls as Python has them. Everything else in a fence is content, fence
 * included.
 */
export const fence = (marker: string, isTool: (name: string) => boolean): Opener => announced({
  marker,
  close,
  * read (reader, writer) {
    return (yield * reader.peek()) === '{' ? yield * readCallList(reader, writer, isTool) : yield * readPythonCalls(reader, writer, isTool)
  }
})

/**
 * Gemma 1 to 3, which have no format of their own: calls in a code fence, `tool_code` as Google's examples have it or
 * `json`, as Python calls or as call objects. The model is told to write call objects in `tool_code`.
 */
export const gemma: Dialect = {
  name: 'gemma',
  controlTexts: [],
  recognises: (template) => template.includes('<start_of_turn>'),
  write: (name, argumentText) => `${open}\n{"name": "${name}", "parameters": ${argumentText}}\n${close}`,

  * read (reader, writer, { isTool }) {
    yield * readBareCalls(reader, writer, isTool)
    yield * readContentWithCalls(reader, writer, [fence(open, isTool), fence('```json', isTool), fence('```python', isTool)])
  },

  optionalCalls: (tools, context) => ({ trigger: open, calls: gemma.calls(tools, context) }),

  calls: (tools, context) => {
    const object = anyOf(tools, context, ({ name, rule }) => `${gbnfLiteral(`{"name": "${name}", "parameters": `)} ${rule}`)
    return oneOrMore(`(${gbnfLiteral(open)} "\\n"? ${object} ${gbnfLiteral(`}\n${close}`)})`, '\n', context)
  }
}
