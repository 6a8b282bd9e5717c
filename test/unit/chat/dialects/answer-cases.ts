import { type AnswerFormat, AnswerParser } from '../../../../src/chat/dialects/answer-parser.ts'
import { ParameterTypes } from '../../../../src/chat/structured/parameter-types.ts'
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

export const tools = new Map(['get_weather', 'get_time', 'search', 'calculator', 'code_interpreter'].map((name) => [name, new ParameterTypes({
  type: 'object',
  properties: {
    city: { type: 'string' },
    query: { type: 'string' },
    limit: { type: 'integer' },
    ratio: { type: 'number' },
    exact: { type: 'boolean' },
    tags: { type: 'array', items: { type: 'string' } },
    filter: { $ref: '#/$defs/filter' },
    note: { type: ['string', 'null'] },
    either: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'string' } }] }
  },
  $defs: { filter: { type: 'object' } }
})]))

export const formatOf = (dialect: ToolDialect, format: AnswerCase['format'] = {}): AnswerFormat =>
  ({ dialect: dialectNamed(dialect), template: '', prompt: '', continuesContent: false, tools, splitsReasoning: true, mostCalls: Infinity, ...format })

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
