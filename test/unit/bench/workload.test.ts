import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { datasetWorkload, readItems } from '../../../src/bench/workload/dataset.ts'
import { checkAnswer, jsonWorkload } from '../../../src/bench/workload/json-workload.ts'
import { parseLengths } from '../../../src/bench/workload/length-distribution.ts'
import { mixedWorkload, multiTurnWorkload, sharedPrefixWorkload, syntheticWorkload, type MadeUpParts } from '../../../src/bench/workload/made-up.ts'
import { TextMaker } from '../../../src/bench/workload/text-maker.ts'
import type { Workload } from '../../../src/bench/workload/workload.ts'
import { Random } from '../../../src/domain/random.ts'

const texts = new TextMaker({ tokensPerWord: 2, overheadTokens: 10 })
const parts: MadeUpParts = {
  seed: 1,
  textSeed: 1,
  endpoint: 'chat',
  texts,
  inputTokens: parseLengths('uniform:50-90', ''),
  outputTokens: parseLengths('lognormal:30', ''),
  ignoresEnd: true
}
type Messages = readonly { readonly role: string, readonly content: string }[]
const bodyOf = (workload: Workload, number: number): Record<string, unknown> => ({ ...workload.conversation(number).next(null)?.body })
const messagesOf = (workload: Workload, number: number): Messages => bodyOf(workload, number)['messages'] as Messages
const words = (text: string): number => text.split(' ').length

const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-dataset-'))
afterAll(() => rmSync(folder, { recursive: true }))
function fileOf (text: string): string {
  const file = path.join(folder, 'data.jsonl')
  writeFileSync(file, text)
  return file
}

describe('parseLengths', () => {
  const many = (text: string): number[] => {
    const random = new Random(1)
    const lengths = parseLengths(text, '--x')
    return Array.from({ length: 5000 }, () => lengths.draw(random))
  }
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length

  it('reads one length, a range and a mean', () => {
    expect(new Set(many('128'))).toEqual(new Set([128]))
    const uniform = many('uniform:10-20')
    expect([Math.min(...uniform), Math.max(...uniform)]).toEqual([10, 20])
    expect(mean(uniform)).toBeCloseTo(15, 0)
    const lognormal = many('lognormal:100,0.5')
    expect(Math.abs(mean(lognormal) - 100)).toBeLessThan(5)
    expect(Math.min(...lognormal)).toBeGreaterThan(0)
    expect(new Set(lognormal).size).toBeGreaterThan(50)
  })

  it.each(['', '0', '-3', '1.5', 'x', '5-7', 'uniform:5', 'uniform:9-3', 'uniform:1-2.5', 'lognormal:', 'lognormal:5-7', 'lognormal:9,99', 'normal:3', '99999999'])('refuses %j', (text) => {
    expect(() => parseLengths(text, '--input-tokens')).toThrow(`--input-tokens is "${text}", but must be a number (128)`)
  })
})

describe('made-up workloads', () => {
  it('ask the same from the same seed, whatever was asked before, and something else from another', () => {
    const create = (textSeed: number): Workload => syntheticWorkload({ ...parts, textSeed })
    expect(bodyOf(create(1), 5)).toEqual(bodyOf(create(1), 5))
    const workload = create(1)
    bodyOf(workload, 3)
    expect(bodyOf(workload, 5)).toEqual(bodyOf(create(1), 5))
    expect(bodyOf(create(2), 5)).not.toEqual(bodyOf(create(1), 5))
  })

  it('are as long in every run, and from every seed of words', () => {
    const lengths = (textSeed: number, from: number): unknown[] => Array.from({ length: 30 }, (_, index) => {
      const { max_tokens: output, messages } = bodyOf(syntheticWorkload({ ...parts, textSeed }), from + index)
      return [output, words((messages as Messages)[0]?.content ?? '')]
    })
    expect(lengths(1, 0)).toEqual(lengths(1, 3_000_000))
    expect(lengths(1, 0)).toEqual(lengths(2, 0))
    expect(new Set(lengths(1, 0).map((pair) => JSON.stringify(pair))).size).toBeGreaterThan(20)
  })

  it('write prompts about as long as wanted, no two of which begin alike', () => {
    const workload = syntheticWorkload({ ...parts, inputTokens: parseLengths('110', '') })
    const starts = new Set<string>()
    for (let number = 0; number < 200; number++) {
      const content = messagesOf(workload, number)[0]?.content ?? ''
      expect(words(content)).toBe(50)
      starts.add(content.split(' ').slice(0, 4).join(' '))
    }
    expect(starts.size).toBe(200)
  })

  it('ask for answers of exactly their length, unless they may stop', () => {
    const { max_tokens: length, ignore_eos: ignoresEnd } = bodyOf(syntheticWorkload({ ...parts, outputTokens: parseLengths('7', '') }), 0)
    expect([length, ignoresEnd]).toEqual([7, true])
    expect(bodyOf(syntheticWorkload({ ...parts, ignoresEnd: false }), 0)).not.toHaveProperty('ignore_eos')
  })

  it('give completions a prompt', () => {
    const body = bodyOf(syntheticWorkload({ ...parts, endpoint: 'completions' }), 0)
    expect(body).not.toHaveProperty('messages')
    expect(typeof body['prompt']).toBe('string')
  })

  it('share long system prompts', () => {
    const workload = sharedPrefixWorkload(parts, 3, parseLengths('400', ''))
    const asked = Array.from({ length: 60 }, (_, number) => messagesOf(workload, number))
    expect(new Set(asked.map(([system]) => system?.content)).size).toBe(3)
    expect(new Set(asked.map(([, user]) => user?.content)).size).toBe(60)
    expect(asked.every(([system]) => system?.role === 'system' && words(system.content) === 200)).toBe(true)
  })

  it('hold conversations that repeat all that was said', () => {
    const conversation = multiTurnWorkload(parts, 3, 50).conversation(0)
    const turns = [conversation.next(null), conversation.next('one'), conversation.next('two'), conversation.next('three')]
    expect(turns[3]).toBeNull()
    const said = turns.slice(0, 3).map((turn) => (turn?.body['messages'] as Messages).map(({ role }) => role).join())
    expect(said).toEqual(['user', 'user,assistant,user', 'user,assistant,user,assistant,user'])
    expect((turns[2]?.body['messages'] as Messages).filter(({ role }) => role === 'assistant').map(({ content }) => content)).toEqual(['one', 'two'])
    expect(turns[0]?.thinkMs).toBe(0)
    expect(turns[1]?.thinkMs).toBeGreaterThan(0)
  })

  it('mix long requests among short ones', () => {
    const workload = mixedWorkload(parts, { share: 0.25, inputTokens: parseLengths('1000', ''), outputTokens: parseLengths('5', '') })
    const kinds = Array.from({ length: 1000 }, (_, number) => workload.conversation(number).kind)
    expect(kinds.filter((kind) => kind === 'long').length).toBeGreaterThan(200)
    expect(kinds.filter((kind) => kind === 'long').length).toBeLessThan(300)
    expect(words(messagesOf(workload, kinds.indexOf('long'))[0]?.content ?? '')).toBe(495)
  })

  it('hold answers to a schema, and check them', () => {
    const turn = jsonWorkload(parts).conversation(0).next(null)
    const format = turn?.body['response_format'] as { json_schema: { schema: { required: string[] } } }
    const names = format.json_schema.schema.required
    expect(turn?.check?.(JSON.stringify(Object.fromEntries(names.map((name) => [name, 1]))))).toBeNull()
    expect(turn?.check?.('{}')).toContain(`without "${names[0]}"`)
    expect(checkAnswer('{"a": ', ['a'])).toContain('not JSON')
    expect(checkAnswer('[]', [])).toContain('not a JSON object')
  })
})

describe('datasets', () => {
  const workloadOf = (text: string, seed = 1): Workload => datasetWorkload({ ...parts, seed, file: fileOf(text), outputTokens: parseLengths('9', '') })

  it('are prompts, with a length if they have one', () => {
    const workload = workloadOf('"one"\n{"prompt": "two", "output_tokens": 3}\n\n')
    const bodies = [bodyOf(workload, 0), bodyOf(workload, 1)]
    expect(bodies).toContainEqual({ messages: [{ role: 'user', content: 'one' }], max_tokens: 9, ignore_eos: true })
    expect(bodies).toContainEqual({ messages: [{ role: 'user', content: 'two' }], max_tokens: 3, ignore_eos: true })
  })

  it('are whole bodies, sent as they are', () => {
    const lines = [{ messages: [{ role: 'user', content: 'x' }], top_p: 0.5 }, { prompt: 'y', max_tokens: 4 }]
    const workload = workloadOf(lines.map((line) => JSON.stringify(line)).join('\n'))
    for (const line of lines) expect([bodyOf(workload, 0), bodyOf(workload, 1)]).toContainEqual(line)
  })

  it('are ShareGPT conversations, of which the first question is asked', () => {
    const answer = 'word '.repeat(20)
    const entries = [
      { id: 'a', conversations: [{ from: 'human', value: 'Why?' }, { from: 'gpt', value: answer }, { from: 'human', value: 'More' }] },
      { id: 'b', conversations: [{ from: 'gpt', value: 'I begin' }, { from: 'human', value: 'Oh' }] },
      { id: 'c', conversations: [] }
    ]
    expect(readItems(fileOf(JSON.stringify(entries)))).toEqual([{ type: 'prompt', prompt: 'Why?', outputText: answer, outputTokens: null }])
    // Two tokens to a word, says the scale.
    expect(bodyOf(workloadOf(JSON.stringify(entries)), 0)).toMatchObject({ messages: [{ content: 'Why?' }], max_tokens: 40 })
  })

  it('come in an order drawn from the seed, each once before any comes again', () => {
    const text = Array.from({ length: 20 }, (_, index) => `"p${index}"`).join('\n')
    const order = (seed: number): string[] => Array.from({ length: 40 }, (_, number) => messagesOf(workloadOf(text, seed), number)[0]?.content ?? '')
    expect(new Set(order(1).slice(0, 20)).size).toBe(20)
    expect(order(1).slice(20)).toEqual(order(1).slice(0, 20))
    expect(order(1)).toEqual(order(1))
    expect(order(1)).not.toEqual(order(2))
  })

  it('are taken apart piece by piece, whatever is in their texts', () => {
    const prompts = ['plain', 'a "quoted, \\" [text]', '}{', 'ünï 😀 \\', '']
    const nested = { messages: [{ role: 'user', content: ['],[', { type: '"' }] }] }
    const list = ` \n${JSON.stringify([...prompts, nested], null, 2)}\n`
    const items = readItems(fileOf(list))
    expect(items.slice(0, -1)).toMatchObject(prompts.map((prompt) => ({ prompt })))
    expect(items.at(-1)).toEqual({ type: 'body', body: nested })
    expect(readItems(fileOf([...prompts, nested].map((value) => JSON.stringify(value)).join('\r\n')))).toEqual(items)
    expect(readItems(fileOf(`\uFEFF${list}`))).toEqual(items)
  })

  it.each([
    ['', 'has nothing to ask'], ['[]', 'has nothing to ask'], ['{"prompt": "a"}\n\n{"prompt"', 'line 3 is not JSON'], ['["a"', 'is no JSON list: the list is not closed'],
    ['["a"] b', 'is no JSON list: it does not end'], ['["a", b]', 'entry 2 is not JSON'], ['["a",]', 'entry 2 is not JSON'],
    ['{"messages": [], "n": 3}', 'line 1 has n 3, but the bench asks for one answer at a time'],
    ['{"text": "a"}', 'line 1 is not a text and has no "prompt", "messages" or "conversations"'], ['["a", 3]', 'entry 2 is not a text']
  ])('refuse %j and say where', (text, message) => {
    expect(() => readItems(fileOf(text))).toThrow(message)
  })
})
