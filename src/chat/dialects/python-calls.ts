import { mostLevels } from '../../domain/is-deeper-than.ts'
import { gbnfLiteral } from '../structured/gbnf-text.ts'
import type { ParameterForm } from '../structured/parameter-grammar.ts'
import { argumentObject } from '../argument-object.ts'
import type { AnswerReader, Reading } from './answer-reader.ts'
import type { AnswerWriter } from './answer-writer.ts'
import { type CallOutcome, readCallObject } from './call-object.ts'
import type { GrammarContext, ToolRule } from './dialect.ts'
import { anyOf, oneOrMore } from './gbnf.ts'

const word = /[\w.-]/

/** Arguments as Python has them, their values as JSON: the readers of Python understand that, and so does ours. */
export const pythonForm: ParameterForm = { open: (name) => `${name}=`, name: /^[A-Za-z_]\w*$/, end: null, separator: ', ' }

/** A list of calls of the tools. */
export const pythonCallList = (tools: readonly ToolRule[], context: GrammarContext): string => {
  const call = anyOf(tools, context, ({ name, rule }) => `${gbnfLiteral(`${name}(`)} ${rule} ")"`)
  return `"[" ${oneOrMore(call, ', ', context)} "]"`
}

/** A call as Python has it; with arguments that are no JSON object as they are. */
export function writePythonCall (name: string, argumentText: string): string {
  const value = argumentObject(argumentText)
  return `${name}(${value === null ? argumentText : Object.entries(value).map(([key, member]) => `${key}=${pythonOf(member)}`).join(', ')})`
}

function pythonOf (value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonOf).join(', ')}]`
  if (typeof value === 'object' && value !== null) return `{${Object.entries(value).map(([key, member]) => `${JSON.stringify(key)}: ${pythonOf(member)}`).join(', ')}}`
  if (typeof value === 'boolean') return value ? 'True' : 'False'
  return value === null ? 'None' : JSON.stringify(value)
}

/**
 * Reads `name(argument="value", …)`, several of them in lines or in a list, and also within `print(…)`; call objects among them
 * as well. Python's literals become JSON; each argument is given on when it is whole.
 */
export function * readPythonCalls (reader: AnswerReader, writer: AnswerWriter, isTool: (name: string) => boolean): Reading<CallOutcome> {
  let outcome: CallOutcome = 'none'
  const isList = yield * reader.skip('[')
  while (true) {
    yield * reader.space()
    if (isList && (yield * reader.skip(']'))) return outcome
    const first = yield * reader.peek()
    if (first !== '{' && !word.test(first)) return outcome
    const next = first === '{' ? yield * readCallObject(reader, writer, isTool) : yield * readPythonCall(reader, writer, isTool)
    if (next !== 'whole') return outcome === 'whole' ? 'broken' : next
    outcome = 'whole'
    yield * reader.while(/[\s,;]/)
  }
}

/** One call. */
export function * readPythonCall (reader: AnswerReader, writer: AnswerWriter, isTool: (name: string) => boolean): Reading<CallOutcome> {
  let name = ''
  yield * reader.while(word, (text) => { name += text })
  let isPrinted = false
  if (name === 'print' && !isTool('print')) {
    isPrinted = true
    name = ''
    if (!(yield * reader.skip('('))) return 'none'
    yield * reader.while(word, (text) => { name += text })
  }
  // Namespaces of Google's examples, and the method of Llama's built-in tools.
  const known = [name, name.slice(name.lastIndexOf('.') + 1), name.replace(/\.call$/, '')].find(isTool)
  if (known === undefined || !(yield * reader.skip('('))) return 'none'
  writer.startCall(known)
  writer.argumentText('{')
  let isFirst = true
  while (true) {
    yield * reader.space()
    if (yield * reader.skip(')')) break
    let key = ''
    yield * reader.while(/\w/, (text) => { key += text })
    yield * reader.space()
    if (key === '' || !(yield * reader.skip('='))) return 'broken'
    yield * reader.space()
    const value = yield * readPythonValue(reader)
    if (value === null) return 'broken'
    writer.argumentText(`${isFirst ? '' : ', '}${JSON.stringify(key)}: ${value}`)
    isFirst = false
    yield * reader.space()
    yield * reader.skip(',')
  }
  writer.argumentText('}')
  if (isPrinted) yield * reader.skip(')')
  return 'whole'
}

const constants: Readonly<Record<string, string>> = { True: 'true', False: 'false', None: 'null', true: 'true', false: 'false', null: 'null' }

/**
 * A Python literal as JSON; null when it is none, or has too many levels.
 * @param levels that it may have
 */
function * readPythonValue (reader: AnswerReader, levels = mostLevels): Reading<string | null> {
  const first = yield * reader.peek()
  if (first === '"' || first === '\'') return yield * readPythonString(reader, first)
  if (first === '[' || first === '(') return yield * readItems(reader, first, first === '[' ? ']' : ')', levels - 1)
  if (first === '{') return yield * readItems(reader, '{', '}', levels - 1)
  let text = ''
  yield * reader.while(/[-+.\w]/, (piece) => { text += piece })
  if (Object.hasOwn(constants, text)) return constants[text] ?? null
  return text !== '' && Number.isFinite(Number(text)) ? String(Number(text)) : null
}

/** @param levels that each item may have */
function * readItems (reader: AnswerReader, open: string, close: string, levels: number): Reading<string | null> {
  if (levels < 0) return null
  const hasKeys = open === '{'
  yield * reader.skip(open)
  const items: string[] = []
  while (true) {
    yield * reader.space()
    if (yield * reader.skip(close)) return hasKeys ? `{${items.join(', ')}}` : `[${items.join(', ')}]`
    const item = yield * readPythonValue(reader, levels)
    if (item === null) return null
    yield * reader.space()
    if (hasKeys) {
      if (!(yield * reader.skip(':'))) return null
      yield * reader.space()
      const value = yield * readPythonValue(reader, levels)
      if (value === null) return null
      items.push(`${item.startsWith('"') ? item : JSON.stringify(item)}: ${value}`)
    } else {
      items.push(item)
    }
    yield * reader.space()
    yield * reader.skip(',')
  }
}

const simpleEscapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' }

function * readPythonString (reader: AnswerReader, quote: string): Reading<string | null> {
  const closing = (yield * reader.skip(quote.repeat(3))) ? quote.repeat(3) : quote
  if (closing === quote) yield * reader.skip(quote)
  let value = ''
  while (true) {
    const marker = yield * reader.until([closing, '\\'], (text) => { value += text })
    if (marker === null) return null
    if (marker === closing) return JSON.stringify(value)
    const escaped = yield * reader.next()
    if (escaped === 'u') {
      let digits = ''
      while (digits.length < 4 && /[0-9a-fA-F]/.test(yield * reader.peek())) digits += yield * reader.next()
      value += digits.length === 4 ? String.fromCharCode(parseInt(digits, 16)) : `\\u${digits}`
    } else {
      value += simpleEscapes[escaped] ?? (/['"\\/\n]/.test(escaped) ? escaped.replace('\n', '') : `\\${escaped}`)
    }
  }
}
