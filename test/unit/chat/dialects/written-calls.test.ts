import { describe, expect, it } from 'vitest'
import { dialectNamed } from '../../../../src/chat/dialects/dialects.ts'
import { type ToolDialect, toolDialects } from '../../../../src/domain/tool-dialect.ts'
import { collect, formatOf, partsOf, type ReadAnswer } from './answer-cases.ts'

type Arguments = Readonly<Record<string, unknown>>
type Call = readonly [name: string, given: Arguments]

/** What stands between two calls; null where an answer written call by call has only one. */
const separators: Readonly<Partial<Record<ToolDialect, string | null>>> = { llama: '; ', mistral: '', kimi: '', harmony: '<|start|>assistant', pythonic: null }
/** Formats in which what follows a call, or is before it, is no content. */
const callsOnly: readonly ToolDialect[] = ['llama', 'pythonic', 'harmony']

/** Markers of the formats and what JSON has; what would end a text without quotes is left out. */
const markers = '<tool_call> </tool_call> [TOOL_CALLS] [ARGS] <｜tool▁call▁end｜> <|tool_call|> ``` <|start|> <|call|> >>>all <function=x> <TOOLCALL> <|END_ACTION|> {"}] (\') \\ '

const argumentsOf: readonly (readonly [what: string, given: Arguments])[] = [
  ['a text', { city: 'Paris' }],
  ['nothing', {}],
  ['values of all types', { query: 'tea', limit: 5, ratio: -0.25, exact: true, note: null, tags: ['a', 'b'], filter: { x: { y: [1, null, 'z'] } } }],
  ['letters of many scripts', { query: '北京 naïve Ω 🌧️👨‍👩‍👧 ￿', tags: ['é', '𝄞'] }],
  ['line breaks, quotes and backslashes', { query: 'a\n\n  "b"\t\\n \\u0041 \'c\'' }],
  ['markers within texts', { query: markers, tags: [markers] }],
  ['texts that look like other values', { query: '5', city: 'null' }],
  ['much text', { query: 'lorem ipsum '.repeat(40) }]
]

describe.each(toolDialects)('calls that are written as %s', (name) => {
  const dialect = dialectNamed(name)
  const template = name === 'functionary' ? '<function=' : ''
  const write = ([tool, given]: Call): string => dialect.write(tool, JSON.stringify(given), template)
  const read = (text: string): { others: Omit<ReadAnswer, 'calls'>, calls: readonly Call[] } => {
    const whole = partsOf(formatOf(name), [text])
    expect(partsOf(formatOf(name), [...text])).toEqual(whole)
    for (let at = 0; at <= text.length; at += text.length > 200 ? 7 : 1) expect(partsOf(formatOf(name), [text.slice(0, at), text.slice(at)])).toEqual(whole)
    const { calls = [], ...others } = collect(whole)
    return { others, calls: calls.map(([tool, argumentText]) => [tool, JSON.parse(argumentText) as Arguments]) }
  }

  it.each(argumentsOf)('are read again with %s', (_what, given) => {
    expect(read(write(['search', given]))).toEqual({ others: {}, calls: [['search', given]] })
  })

  it('are read again one after another', () => {
    const separator = separators[name] === undefined ? '\n' : separators[name]
    if (separator === null) return
    const calls: readonly Call[] = [['get_weather', { city: 'Paris' }], ['search', { query: markers }], ['get_time', {}]]
    expect(read(calls.map(write).join(separator))).toEqual({ others: {}, calls })
  })

  it('are read after reasoning', () => {
    if (name === 'harmony') return
    expect(read(`<think>\nI need the time.\n</think>\n\n${write(['get_time', { city: 'Oslo' }])}`)).toEqual({
      others: { reasoning: 'I need the time.' }, calls: [['get_time', { city: 'Oslo' }]]
    })
  })

  it('are read within text', () => {
    if (callsOnly.includes(name)) return
    const before = read(`Let me look.\n${write(['get_time', { city: 'Oslo' }])}`)
    expect(before).toEqual({ others: { content: 'Let me look.' }, calls: [['get_time', { city: 'Oslo' }]] })
  })

  it('are written as they are when they nest deeper than the stack', () => {
    const argumentText = `{"filter":${'['.repeat(20_000)}${']'.repeat(20_000)}}`
    expect(dialect.write('search', argumentText, template)).toContain(argumentText)
  })

  it('are calls of no other tool wherever they are cut off', () => {
    const text = write(['search', { query: 'tea and cake', limit: 5, tags: ['a'] }])
    for (let at = 0; at < text.length; at++) {
      const { calls = [] } = collect(partsOf(formatOf(name), [text.slice(0, at)]))
      expect(calls.map(([tool]) => tool).filter((tool) => tool !== 'search')).toEqual([])
      expect(calls.length).toBeLessThan(2)
    }
  })
})
