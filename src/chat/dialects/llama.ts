import { gbnfLiteral } from '../structured/gbnf-text.ts'
import type { AnswerReader, Reading } from './answer-reader.ts'
import type { AnswerWriter } from './answer-writer.ts'
import { readBareCalls, readContentWithCalls } from './content-with-calls.ts'
import type { Dialect, ReadContext } from './dialect.ts'
import { anyCallObject, oneOrMore, otherThan } from './gbnf.ts'
import { readPythonCall } from './python-calls.ts'

const pythonTag = '<|python_tag|>'
/** Names under which clients offer to run the code that the model writes after the tag. */
const interpreters = ['code_interpreter', 'python', 'ipython']

/**
 * Llama 3.1 to 4: the answer is a call object (`{"name": …, "parameters": …}`), or several with `;` between them. After
 * `<|python_tag|>` come call objects, calls of built-in tools (`brave_search.call(query="…")`), or Python code, which is
 * given to a tool called `code_interpreter`, `python` or `ipython` as its `code`.
 */
export const llama: Dialect = {
  name: 'llama',
  controlTexts: [pythonTag],
  recognises: (template) => /<\|(?:start_header_id|header_start)\|>/.test(template) && template.includes('ipython'),
  write: (name, argumentText) => `{"name": "${name}", "parameters": ${argumentText}}`,

  * read (reader, writer, context) {
    yield * readBareCalls(reader, writer, context.isTool)
    yield * readContentWithCalls(reader, writer, [
      { marker: pythonTag, read: () => readPythonTag(reader, writer, context) }
    ])
  },

  // The template asks for one object and shows no way to write several; `;` is what the models use.
  calls: (tools, context) => oneOrMore(anyCallObject(tools, context, 'parameters'), '; ', context),

  // Nothing but its first character tells a call from another answer.
  optionalCalls: (tools, context) => {
    const text = context.define('text', `${otherThan('\0')}*`)
    return {
      trigger: null,
      calls: `(${gbnfLiteral(pythonTag)}? ${llama.calls(tools, context)} | ${otherThan('{[<')} ${text} | "<" ${otherThan('|')} ${text})`
    }
  }
}

function * readPythonTag (reader: AnswerReader, writer: AnswerWriter, { isTool }: ReadContext): Reading<void> {
  yield * reader.space()
  if ((yield * reader.peek()) === '{') {
    yield * readBareCalls(reader, writer, isTool)
    return
  }
  reader.record()
  const outcome = yield * readPythonCall(reader, writer, isTool)
  const consumed = reader.recorded()
  if (outcome === 'whole') return
  if (outcome === 'broken') {
    yield * reader.until([], (text) => writer.argumentText(text))
    return
  }
  const interpreter = interpreters.find(isTool)
  if (interpreter === undefined) {
    writer.content(consumed)
    return
  }
  writer.startCall(interpreter)
  writer.argumentText(`{"code": "${escape(consumed)}`)
  yield * reader.until([], (text) => writer.argumentText(escape(text)))
  writer.argumentText('"}')
}

const escape = (text: string): string => JSON.stringify(text).slice(1, -1)
