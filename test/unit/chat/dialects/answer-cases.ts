import { type AnswerFormat, AnswerParser } from '../../../../src/chat/dialects/answer-parser.ts'
import type { AnswerPart } from '../../../../src/chat/dialects/answer-part.ts'
import type { ToolDialect } from '../../../../src/domain/tool-dialect.ts'
import { dialectNamed } from '../../../../src/chat/dialects/dialects.ts'

/** What an answer comes to: calls as name and arguments, in their order. */
export interface ReadAnswer {
  readonly content?: string
  readonly reasoning?: string
  readonly calls?: readonly (readonly [name: string, argumentText: string])[]
}

export interface AnswerCase {
  readonly what: string
  readonly text: string
  readonly expected: ReadAnswer
  readonly format?: Partial<Omit<AnswerFormat, 'dialect'>>
}

export const toolNames = new Set(['get_weather', 'get_time', 'search', 'calculator', 'code_interpreter'])

export const formatOf = (dialect: ToolDialect, format: AnswerCase['format'] = {}): AnswerFormat =>
  ({ dialect: dialectNamed(dialect), template: '', prompt: '', continuesContent: false, tools: toolNames, splitsReasoning: true, mostCalls: Infinity, ...format })

/** Reads an answer that comes in these pieces. */
export function partsOf (format: AnswerFormat, pieces: readonly string[]): AnswerPart[] {
  const parser = new AnswerParser(format)
  const parts = [...pieces.flatMap((piece) => parser.push(piece)), ...parser.end()]
  const joined: AnswerPart[] = []
  for (const part of parts) {
    const last = joined.at(-1)
    if (last !== undefined && 'text' in last && 'text' in part && last.type === part.type) joined[joined.length - 1] = { ...last, text: last.text + part.text }
    else joined.push(part)
  }
  return joined
}

export function collect (parts: readonly AnswerPart[]): ReadAnswer {
  let content = ''
  let reasoning = ''
  const calls: [string, string][] = []
  for (const part of parts) {
    if (part.type === 'content') {
      content += part.text
    } else if (part.type === 'reasoning') {
      reasoning += part.text
    } else if (part.type === 'call-started') {
      if (part.call !== calls.length) throw new Error(`call ${part.call} began after ${calls.length} calls`)
      calls.push([part.name, ''])
    } else {
      const call = calls[part.call]
      if (call === undefined) throw new Error(`arguments of call ${part.call} came before it`)
      call[1] += part.text
    }
  }
  return {
    ...(content === '' ? {} : { content }),
    ...(reasoning === '' ? {} : { reasoning }),
    ...(calls.length === 0 ? {} : { calls })
  }
}
