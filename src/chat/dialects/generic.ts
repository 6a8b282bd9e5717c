import { announced, readBareCalls, readContentWithCalls } from './content-with-calls.ts'
import type { Dialect } from './dialect.ts'
import { fence } from './gemma.ts'
import { hermes } from './hermes.ts'

/**
 * For templates that say nothing of tools: the model is told to write calls as Hermes does, and what models without a
 * format of their own write instead is understood too: an answer that begins with call objects, and call objects in a code
 * fence.
 */
export const generic: Dialect = {
  name: 'generic',
  controlTexts: hermes.controlTexts,
  recognises: () => true,
  write: (name, argumentText, template) => hermes.write(name, argumentText, template),
  calls: (tools, context) => hermes.calls(tools, context),
  optionalCalls: (tools, context) => hermes.optionalCalls(tools, context),

  * read (reader, writer, { isTool }) {
    yield * readBareCalls(reader, writer, isTool)
    yield * readContentWithCalls(reader, writer, [
      announced({ marker: '<tool_call>', close: '</tool_call>' }), fence('```json', isTool), fence('```tool_call', isTool), fence('```tool_code', isTool)
    ])
  }
}
