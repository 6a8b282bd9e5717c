import { gbnfLiteral } from '../structured/gbnf-text.ts'
import { announced, readContentWithCalls } from './content-with-calls.ts'
import type { Dialect } from './dialect.ts'
import { anyCallObject, callObjectList, oneOrMore } from './gbnf.ts'

const open = '<|tool_call|>'
const close = '<|/tool_call|>'
const listMarker = 'functools'

const isList = (template: string): boolean => template.includes(`${listMarker}[`)

/**
 * Microsoft's Phi-4-mini: `<|tool_call|>{…}<|/tool_call|>` for each call, or one for a list of them. Templates that ask for
 * `functools[{…}, …]` get that.
 */
export const phi: Dialect = {
  name: 'phi',
  controlTexts: [open, close],
  recognises: (template) => template.includes(close) || template.includes('<|/tool|>') || isList(template),
  write: (name, argumentText, template) => {
    const object = `{"name": "${name}", "arguments": ${argumentText}}`
    return isList(template) ? `${listMarker}[${object}]` : `${open}${object}${close}`
  },

  * read (reader, writer) {
    yield * readContentWithCalls(reader, writer, [announced({ marker: open, close }), announced({ marker: listMarker, close: null })])
  },

  calls: (tools, context) => isList(context.template)
    ? callObjectList(tools, context, listMarker, '')
    : oneOrMore(`(${gbnfLiteral(open)} ${anyCallObject(tools, context)} ${gbnfLiteral(close)})`, '', context),

  optionalCalls: (tools, context) => ({ trigger: isList(context.template) ? `${listMarker}[` : open, calls: phi.calls(tools, context) })
}
