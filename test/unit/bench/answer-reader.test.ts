import { describe, expect, it } from 'vitest'
import { AnswerReader } from '../../../src/bench/client/answer-reader.ts'

const event = (value: unknown): Buffer => Buffer.from(`data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`)
const delta = (fields: object, finish: string | null = null): object => ({ choices: [{ index: 0, delta: fields, finish_reason: finish }] })

function read (...events: readonly (readonly [number, unknown])[]): AnswerReader {
  const reader = new AnswerReader(true)
  for (const [now, value] of events) reader.push(event(value), now)
  reader.end()
  return reader
}

describe('AnswerReader', () => {
  it('notes when chunks with output came, not those without', () => {
    const reader = read(
      [10, delta({ role: 'assistant', content: '' })], [20, delta({ content: 'Hel' })], [35, delta({ content: 'lo' })],
      [36, delta({}, 'stop')], [37, { choices: [], usage: { prompt_tokens: 7, completion_tokens: 2, prompt_tokens_details: { cached_tokens: 4 } } }], [38, '[DONE]']
    )
    expect(reader).toMatchObject({ outputTimes: [20, 35], text: 'Hello', inputTokens: 7, outputTokens: 2, cachedTokens: 4, failure: null })
  })

  it.each([
    ['reasoning', { reasoning_content: 'hm' }], ['reasoning by its other name', { reasoning: 'hm' }],
    ['tool calls', { tool_calls: [{ index: 0, function: { arguments: '{' } }] }], ['a refusal', { refusal: 'no' }]
  ])('takes %s for output', (_, fields) => {
    expect(read([5, delta(fields)], [6, delta({}, 'stop')]).outputTimes).toEqual([5])
  })

  it('reads completions', () => {
    const reader = read([1, { choices: [{ text: 'a', finish_reason: null }] }], [2, { choices: [{ text: 'b', finish_reason: 'length' }] }], [3, '[DONE]'])
    expect(reader).toMatchObject({ outputTimes: [1, 2], text: 'ab', outputTokens: null, failure: null })
  })

  it('gives chunks that came in one read one moment', () => {
    const reader = new AnswerReader(true)
    reader.push(Buffer.concat([event(delta({ content: 'a' })), event(delta({ content: 'b' }, 'stop'))]), 9)
    expect(reader.outputTimes).toEqual([9, 9])
  })

  it('does not take half an answer for a whole one', () => {
    expect(read([1, delta({ content: 'a' })]).failure).toMatchObject({ kind: 'cut off' })
  })

  it('tells of an error in the stream by its code', () => {
    const failure = { kind: 'error in stream engine_crashed', message: 'It died' }
    expect(read([1, delta({ content: 'a' })], [2, { error: { message: 'It died', code: 'engine_crashed' } }]).failure).toEqual(failure)
  })

  it('tells of what is not JSON', () => {
    expect(read([1, 'oops'], [2, '[DONE]']).failure).toEqual({ kind: 'invalid answer', message: 'This is not JSON: oops' })
  })

  it('tells of an error that is the whole event', () => {
    expect(read([1, { object: 'error', message: 'It died', code: 400, type: 'BadRequest' }], [2, '[DONE]']).failure).toEqual({ kind: 'error in stream BadRequest', message: 'It died' })
  })

  it('ends with [DONE]: nothing after it counts', () => {
    const reader = read([1, delta({ content: 'a' }, 'stop')], [2, '[DONE]'], [3, { error: { message: 'late' } }], [4, delta({ content: 'b' })])
    expect(reader).toMatchObject({ isDone: true, text: 'a', outputTimes: [1], failure: null })
  })

  it('does not take an empty stream for an answer', () => {
    expect(read([1, { choices: [], usage: { completion_tokens: 0 } }], [2, '[DONE]']).failure).toEqual({ kind: 'invalid answer', message: 'The stream has no choices' })
    // Nothing to say is an answer.
    expect(read([1, delta({ content: '' }, 'stop')], [2, '[DONE]']).failure).toBeNull()
  })

  it('takes a last event without its blank line, when it is whole', () => {
    const half = (text: string): AnswerReader => {
      const reader = new AnswerReader(true)
      reader.push(Buffer.concat([event(delta({ content: 'a' }, 'stop')), Buffer.from(text)]), 7)
      reader.end()
      return reader
    }
    expect(half('data: {"choices":[],"usage":{"completion_tokens":2}}')).toMatchObject({ outputTokens: 2, failure: null })
    expect(half('data: [DONE]\n')).toMatchObject({ isDone: true, failure: null })
    expect(half('data: {"choices":[],"usa').failure).toEqual({ kind: 'cut off', message: 'The stream ended in the middle of an event: {"choices":[],"usa' })
  })

  it('times the first of several choices, and counts them', () => {
    const of = (index: number, content: string, finish: string | null = null): object => ({ choices: [{ index, delta: { content }, finish_reason: finish }] })
    const reader = read([10, of(0, 'a')], [12, of(1, 'x')], [20, of(0, 'b')], [23, of(1, 'y', 'stop')], [30, of(0, 'c', 'stop')])
    expect(reader).toMatchObject({ outputTimes: [10, 20, 30], text: 'abc', choiceCount: 2, failure: null })
    // Both in one chunk.
    expect(read([5, { choices: [{ index: 1, text: 'x', finish_reason: 'stop' }, { index: 0, text: 'a', finish_reason: 'stop' }] }])).toMatchObject({ outputTimes: [5], text: 'x', choiceCount: 2 })
  })

  it('does not take an answer for whole when one of its choices is not', () => {
    const reader = read([1, { choices: [{ index: 0, delta: { content: 'a' }, finish_reason: 'stop' }] }], [2, { choices: [{ index: 1, delta: { content: 'b' } }] }])
    expect(reader.failure).toMatchObject({ kind: 'cut off' })
  })

  it('takes no body that is too long for an answer', () => {
    const reader = new AnswerReader(false)
    const part = Buffer.alloc(16 * 1024 * 1024)
    for (let time = 0; time < 4; time++) reader.push(part, time)
    expect(() => reader.push(Buffer.from('x'), 5)).toThrow('The answer has more than 64 MiB')
  })

  it('reads whole answers', () => {
    const reader = new AnswerReader(false)
    const body = Buffer.from(JSON.stringify({ choices: [{ message: { content: 'größe' }, finish_reason: 'stop' }], usage: { prompt_tokens: 1, completion_tokens: 3 } }))
    reader.push(body.subarray(0, 38), 1)
    reader.push(body.subarray(38), 2)
    reader.end()
    expect(reader).toMatchObject({ text: 'größe', outputTokens: 3, outputTimes: [], failure: null })
  })

  it.each(['', 'null', '[]', '{"choices":null}', '{"choices":[{}]}'])('takes no %j for a whole answer', (body) => {
    const reader = new AnswerReader(false)
    reader.push(Buffer.from(body), 1)
    reader.end()
    expect(reader.failure).toMatchObject({ kind: 'invalid answer' })
  })
})
