import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Random } from '../../src/domain/random.ts'
import { createMutants } from '../support/adapter-mutants.ts'
import { isLongRun } from '../support/long-run.ts'
import { childrenOf, metric, type ServerProcess, startServer } from '../support/server-process.ts'

const demoAdapters = fileURLToPath(new URL('../../models/demo/adapters', import.meta.url))
const names = ['pirate', 'shout', 'french'] as const

const directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-e2e-crowd-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** What a request asks, and with which adapters. */
interface Ask {
  readonly model: string
  readonly lora?: readonly { readonly name: string, readonly scale: number }[]
  readonly question: string
}

const questions = [
  'Hello!', 'Who are you?', 'How are you?', 'Count from 1 to 20.', 'Tell me a story.', 'What is the capital of France?', 'Name three animals.',
  'What is 3 plus 4?', 'Spell the word "tree".', 'What is the opposite of hot?', 'List five colours.', 'Tell me a joke.', 'What can you do?'
]

const variants: readonly Omit<Ask, 'question'>[] = [
  { model: 'drawbridge-demo' },
  ...names.map((model) => ({ model })),
  { model: 'drawbridge-demo', lora: [{ name: 'pirate', scale: 0.6 }] }
]

const pick = <Item>(random: Random, items: readonly Item[]): Item => items[random.below(items.length)] as Item

function use (server: ServerProcess) {
  const client = new OpenAI({ baseURL: server.baseURL, apiKey: 'none', maxRetries: 0 })
  return {
    ask: async ({ model, lora, question }: Ask): Promise<string> => {
      const body = { model, messages: [{ role: 'user' as const, content: question }], temperature: 0, max_tokens: 48, ...(lora === undefined ? {} : { lora }) }
      return (await client.chat.completions.create(body)).choices[0]?.message.content ?? ''
    },
    load: async (name: string, file: string) => await fetch(`${server.origin}/v1/adapters`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ name, source: file })
    }),
    unload: async (name: string) => await fetch(`${server.origin}/v1/adapters/${name}`, { method: 'DELETE' })
  }
}

describe.each([
  ['one lane', ['--lanes', '1', '--threads', '1']],
  ['two lanes that step at once', ['--lanes', '2', '--threads', '2']]
])('a crowd with many adapters on %s', (_what, flags) => {
  let server: ServerProcess
  beforeAll(async () => {
    server = await startServer([
      ...flags, '--slots', '8', '--context-size', '512', '--queue-timeout', '10m', '--park-cache', 'off',
      ...names.flatMap((name) => ['--adapter', `${name}=${path.join(demoAdapters, `${name}.gguf`)}`])
    ])
  })
  afterAll(async () => await server?.[Symbol.asyncDispose]())

  it('gets 200 answers, 32 at a time, each as it is alone', async () => {
    const { ask } = use(server)
    const random = new Random(2026)
    const asks = Array.from({ length: 200 }, (): Ask => ({ ...pick(random, variants), question: pick(random, questions) }))
    const crowd: string[] = []
    const switches = async (): Promise<number> => await metric(server.origin, 'drawbridge_adapter_switches_total')
    const before = await switches()
    const left = [...asks.entries()]
    await Promise.all(Array.from({ length: 32 }, async () => {
      for (let next = left.shift(); next !== undefined; next = left.shift()) crowd[next[0]] = await ask(next[1])
    }))
    // Five adapter sets, and fewer lanes: they took turns.
    expect(await switches() - before).toBeGreaterThan(10)
    const alone = new Map<string, string>()
    for (const one of asks) {
      const key = JSON.stringify(one)
      if (!alone.has(key)) alone.set(key, await ask(one))
    }
    const wrong = asks.flatMap((one, index) => crowd[index] === alone.get(JSON.stringify(one)) ? [] : [{ ...one, crowd: crowd[index], alone: alone.get(JSON.stringify(one)) }])
    expect(wrong).toEqual([])
    // The adapters show: hardly an answer is the same under two of them.
    expect(new Set(alone.values()).size).toBeGreaterThan(alone.size * 0.7)
  })
})

describe('broken adapter files', () => {
  it('are refused, all of them, while answers run that do not notice', async () => {
    const held = path.join(directory, '.held')
    mkdirSync(held)
    for (const name of names) copyFileSync(path.join(demoAdapters, `${name}.gguf`), path.join(directory, `${name}.gguf`))
    await using server = await startServer(['--adapter-dir', directory, '--slots', '8', '--context-size', '512', '--threads', '2', '--lanes', '2', '--park-cache', 'off'])
    const { ask, load, unload } = use(server)
    const engines = await childrenOf(server.pid)
    const asks = variants.map((variant): Ask => ({ ...variant, question: 'Tell me a story.' }))
    const alone: string[] = []
    for (const one of asks) alone.push(await ask(one))

    const end = new AbortController()
    const answers = asks.map((): string[] => [])
    const crowd = Promise.all(asks.map(async (one, index) => {
      do answers[index]?.push(await ask(one)); while (!end.signal.aborted)
    }))
    const ofEachKind = isLongRun ? 25 : 10
    const mutants = createMutants(readFileSync(path.join(demoAdapters, 'pirate.gguf')), new Random(2026), ofEachKind)
    const wrong: object[] = []
    let refused = 0
    for (const [index, { description, bytes, isValid }] of mutants.entries()) {
      const file = path.join(held, `${index}.gguf`)
      writeFileSync(file, bytes)
      const response = await load('mutant', file)
      const body = await response.json() as { readonly error?: { readonly code: string, readonly message: string } }
      if (isValid) {
        // What llama.cpp can use may say anything, but it must say it.
        if (response.status !== 201 && response.status !== 200) wrong.push({ description, status: response.status, body })
        await ask({ model: 'mutant', question: 'Hello!' })
        await unload('mutant')
      } else {
        refused++
        const { code, message = '' } = body.error ?? {}
        // The reason names the file as its user knows it, and then says more.
        if (response.status !== 400 || code !== 'invalid_adapter' || !message.includes(file) || message.length < file.length + 10) wrong.push({ description, status: response.status, body })
      }
      rmSync(file)
    }
    end.abort()
    await crowd
    expect(wrong).toEqual([])
    expect(mutants).toHaveLength(12 * ofEachKind)
    expect(refused).toBeGreaterThan(8 * ofEachKind)
    expect(answers.map((texts) => [...new Set(texts)])).toEqual(alone.map((text) => [text]))
    expect(await childrenOf(server.pid)).toEqual(engines)
    expect(await metric(server.origin, 'drawbridge_engine_restarts_total')).toBe(0)
    expect((await (await fetch(`${server.origin}/v1/adapters`)).json() as { data: { name: string }[] }).data.map(({ name }) => name).sort()).toEqual([...names].sort())
  })
})
