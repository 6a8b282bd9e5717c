import { gbnfLiteral } from '../structured/gbnf-text.ts'
import type { AnswerReader, Reading } from './answer-reader.ts'
import type { AnswerWriter } from './answer-writer.ts'
import { readContentWithCalls } from './content-with-calls.ts'
import type { Dialect } from './dialect.ts'
import { anyOf, oneOrMore } from './gbnf.ts'
import { readReasoning } from './reasoning.ts'

const turn = '>>>'
const functionTag = '<function='
const functionEnd = '</function>'

const isByTurns = (template: string): boolean => template.includes(turn)

/**
 * Functionary v3. In v3.2 an answer is parts, each with `>>>`, who it is for and a line break before it: `all` is content,
 * a tool's name is a call of it. In v3.1 a call is `<function=name>{…}</function>` among content.
 */
export const functionary: Dialect = {
  name: 'functionary',
  controlTexts: [],
  framesAnswers: true,
  readsReasoning: true,
  recognises: (template) => template.includes('>>>all') || (template.includes(functionTag) && !template.includes('<parameter=')),
  write: (name, argumentText, template) => isByTurns(template) ? `${turn}${name}\n${argumentText}` : `${functionTag}${name}>${argumentText}${functionEnd}`,

  * read (reader, writer, { template, prompt, isTool }) {
    if (!isByTurns(template)) {
      yield * readReasoning(reader, writer, null)
      yield * readContentWithCalls(reader, writer, [{ marker: functionTag, read: readTag }])
    } else if (prompt.trimEnd().endsWith(turn) || (yield * reader.skip(turn))) {
      yield * readTurns(reader, writer, isTool)
    } else {
      yield * reader.until([turn], (text) => writer.content(text))
      yield * readTurns(reader, writer, isTool)
    }
  },

  // Any part may be a call, and nothing but a tool's name says so.
  optionalCalls: (tools, context) => isByTurns(context.template)
    ? null
    : { trigger: functionTag, calls: functionary.calls(tools, context) },

  content: (rule, { template, prompt }) => isByTurns(template) && prompt.trimEnd().endsWith(turn) ? `${gbnfLiteral('all\n')} ${rule}` : rule,

  calls: (tools, context) => {
    if (!isByTurns(context.template)) {
      return oneOrMore(anyOf(tools, context, ({ name, rule }) => `${gbnfLiteral(`${functionTag}${name}>`)} ${rule} ${gbnfLiteral(functionEnd)}`), '', context)
    }
    const calls = oneOrMore(anyOf(tools, context, ({ name, rule }) => `${gbnfLiteral(`${name}\n`)} ${rule}`), turn, context)
    return context.prompt.trimEnd().endsWith(turn) ? calls : `${gbnfLiteral(turn)} ${calls}`
  }
}

function * readTurns (reader: AnswerReader, writer: AnswerWriter, isTool: (name: string) => boolean): Reading<void> {
  let marker: string | null = turn
  while (marker !== null) {
    let recipient = ''
    const lineEnd = yield * reader.upTo(['\n', turn], (text) => { recipient += text })
    if (lineEnd === '\n') yield * reader.skip('\n')
    const name = recipient.trim()
    if (name === 'all' || (lineEnd !== '\n' && !isTool(name))) {
      if (name !== 'all') writer.content(recipient)
      marker = yield * reader.until([turn], (text) => writer.content(text))
      continue
    }
    writer.startCall(name)
    yield * reader.space()
    if ((yield * reader.peek()) === '{') {
      if (yield * reader.json((text) => writer.argumentText(text))) yield * reader.space()
      marker = yield * reader.until([turn], (text) => writer.argumentText(text))
    } else {
      // Code for an interpreter comes as it is.
      writer.argumentText('{"code": "')
      marker = yield * reader.until([turn], (text) => writer.argumentText(JSON.stringify(text).slice(1, -1)))
      writer.argumentText('"}')
    }
  }
}

function * readTag (reader: AnswerReader, writer: AnswerWriter): Reading<void> {
  let name = ''
  if ((yield * reader.until(['>', '\n'], (text) => { name += text })) !== '>') {
    writer.content(functionTag + name)
    return
  }
  yield * reader.space()
  writer.startCall(name.trim())
  if (yield * reader.json((text) => writer.argumentText(text))) {
    const marker = yield * reader.upTo([functionEnd, functionTag])
    if (marker === functionEnd) yield * reader.skip(functionEnd)
  } else {
    yield * reader.until([functionEnd], (text) => writer.argumentText(text))
  }
}
