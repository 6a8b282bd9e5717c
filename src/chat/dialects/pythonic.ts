import { otherThan } from './gbnf.ts'
import { gbnfLiteral } from '../structured/gbnf-text.ts'
import { readContentWithCalls } from './content-with-calls.ts'
import type { Dialect } from './dialect.ts'
import { pythonCallList, pythonForm, readPythonCalls, writePythonCall } from './python-calls.ts'

const start = '<|python_start|>'
const end = '<|python_end|>'

/** Llama 3.2 and 4 where their template asks for a list of Python calls, which is then all of the answer: `[name(key="value"), …]`. */
export const pythonic: Dialect = {
  name: 'pythonic',
  controlTexts: [start, end],
  recognises: (template) => template.includes('[func_name1('),
  parameterForm: () => pythonForm,
  write: (name, argumentText) => `[${writePythonCall(name, argumentText)}]`,

  * read (reader, writer, { isTool }) {
    reader.record()
    yield * reader.space()
    yield * reader.skip(start)
    yield * reader.space()
    const outcome = (yield * reader.peek()) === '[' ? yield * readPythonCalls(reader, writer, isTool) : 'none'
    const consumed = reader.recorded()
    if (outcome === 'none') writer.content(consumed)
    else if (outcome === 'broken') yield * reader.upTo([end], (text) => writer.argumentText(text))
    yield * readContentWithCalls(reader, writer, [{ marker: end, read: () => reader.space() }])
  },

  calls: (tools, context) => pythonCallList(tools, context),

  // Nothing but its first character tells a call from another answer.
  optionalCalls: (tools, context) => {
    const text = context.define('text', `${otherThan('\0')}*`)
    return {
      trigger: null,
      calls: `(${gbnfLiteral(start)}? ${pythonic.calls(tools, context)} ${gbnfLiteral(end)}? | ${otherThan('[<')} ${text} | "<" ${otherThan('|')} ${text})`
    }
  }
}
