import { gbnfLiteral } from '../structured/gbnf-text.ts'
import type { AnswerReader, Reading } from './answer-reader.ts'
import type { AnswerWriter } from './answer-writer.ts'
import type { Dialect, GrammarContext } from './dialect.ts'
import { anyOf, otherThan } from './gbnf.ts'

const start = '<|start|>'
const channelMarker = '<|channel|>'
const message = '<|message|>'
const end = '<|end|>'
const constrain = '<|constrain|>'
const call = '<|call|>'
const done = '<|return|>'
const recipientStart = ' to=functions.'

const header = /^\s*(?:(?!to=)\w+)?\s*(?:to=(\S+?))?\s*(?:<\|channel\|>\s*(\w+))?(?:\s+to=(\S+?))?\s*(?:<\|constrain\|>|\s|$)/

/**
 * OpenAI's harmony (gpt-oss): messages with a header that says for whom they are and on which channel. `analysis` is
 * reasoning, `commentary` to a function is a call, everything else is content.
 */
export const harmony: Dialect = {
  name: 'harmony',
  controlTexts: [start, channelMarker, message, end, constrain, call, done],
  framesAnswers: true,
  readsReasoning: true,
  recognises: (template) => template.includes(channelMarker) && template.includes(message),
  write: (name, argumentText) => `${channelMarker}commentary to=functions.${name} ${constrain}json${message}${argumentText}${call}`,

  * read (reader, writer, { continuesContent }) {
    if (!continuesContent) yield * reader.space()
    // A message whose header is in the prompt, or a model that answers without any.
    if (continuesContent || (!/^$|[<\s]/.test(yield * reader.peek()) && !(yield * reader.comes('to=')))) {
      const marker = yield * reader.until([start, end, done, call], (text) => writer.content(text))
      if (marker !== start && !(continuesContent && marker === end)) return
    }
    while ((yield * reader.peek()) !== '') yield * readMessage(reader, writer)
  },

  // The template has one call in each message of the assistant, after which it is the tool's turn.
  calls: (tools, context) => {
    const call = anyOf(tools, context, ({ name, rule }) =>
      `${gbnfLiteral(`${channelMarker}commentary to=functions.${name} ${constrain}json${message}`)} ${rule}`)
    return `(${analysis(context)})? ${call}`
  },

  content: (rule, context) => `(${analysis(context)})? ${gbnfLiteral(`${channelMarker}final${message}`)} ${rule}`,

  // The recipient stands before the channel or after it.
  optionalCalls: (tools, context) => {
    const head = context.define('head', `${gbnfLiteral(`${channelMarker}commentary`)}? (" "? ${gbnfLiteral(constrain)}? "json" | " code")? ${gbnfLiteral(message)}`)
    return {
      trigger: recipientStart,
      calls: anyOf(tools, context, ({ name, rule }) => `${gbnfLiteral(`${recipientStart}${name}`)} ${head} ${rule}`)
    }
  }
}

/** GBNF for the message before an answer's last one. */
function analysis ({ define }: GrammarContext): string {
  const text = define('text', `${otherThan('<')}*`)
  return `${gbnfLiteral(`${channelMarker}analysis${message}`)} ${text} ${gbnfLiteral(`${end}${start}assistant`)}`
}

function * readMessage (reader: AnswerReader, writer: AnswerWriter): Reading<void> {
  let head = ''
  // A header that is cut off says nothing: the name in it may be half of one.
  if ((yield * reader.until([message], (text) => { head += text })) === null) return
  const [, early, channel, late] = header.exec(head.replaceAll(start, '')) ?? []
  const recipient = early ?? late
  const ends = [end, call, done, start]
  if (recipient !== undefined && channel !== 'final') {
    writer.startCall(recipient.replace(/^functions\./, ''))
    yield * reader.space()
    if ((yield * reader.peek()) === '{') yield * reader.json((text) => writer.argumentText(text))
    let held = ''
    yield * reader.until(ends, (text) => {
      const shown = (held + text).trimEnd()
      if (shown !== '') writer.argumentText(shown)
      held = (held + text).slice(shown.length)
    })
    return
  }
  const isReasoning = channel === 'analysis'
  yield * reader.until(ends, (text) => isReasoning ? writer.reasoning(text) : writer.content(text))
  if (isReasoning) writer.endReasoning()
  else writer.endContent()
}
