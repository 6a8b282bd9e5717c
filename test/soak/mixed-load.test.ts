import { readFileSync } from 'node:fs'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { mixSeed } from '../../src/domain/seed.ts'
import { childrenOf, isReady, metric, type ServerProcess, startServer, waitUntil } from '../support/server-process.ts'

const minutes = Number(process.env.SOAK_MINUTES ?? 5)
const userCount = 12
/** Part of the run after which memory has to have settled. */
const warmUpShare = 0.4

const questions = ['Hello!', 'Tell me a story.', 'Count from 1 to 30.', 'Name three animals.', 'What is Drawbridge?', 'Tell me a joke.']

/** Resident memory in bytes. */
const residentBytes = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? NaN) * 1024

interface Tally {
  answered: number
  left: number
  /** Errors by code; only those that the faults of this run explain are expected. */
  readonly errors: Map<string, number>
}

describe.runIf(process.platform === 'linux')(`mixed load for ${minutes} minutes`, () => {
  let server: ServerProcess
  let client: OpenAI
  let model: string

  beforeAll(async () => {
    server = await startServer(['--slots', '4', '--context-size', '512', '--log-level', 'warn'])
    client = new OpenAI({ baseURL: server.baseURL, apiKey: 'none', maxRetries: 0 })
    model = (await client.models.list()).data[0]?.id ?? ''
  })
  afterAll(async () => { await server?.[Symbol.asyncDispose]() })

  /** One request of one user, of the kind that the dice say. */
  async function ask (dice: number, tally: Tally): Promise<void> {
    const kind = dice % 10
    const leaver = new AbortController()
    const messages = [{ role: 'user' as const, content: questions[mixSeed(dice, 1) % questions.length] ?? '' }]
    const options = { model, messages, max_tokens: 8 + mixSeed(dice, 2) % 64, seed: dice % 1000 }
    try {
      if (kind < 3) {
        await client.chat.completions.create({ ...options, n: 1 + dice % 3, stop: kind === 0 ? ['. '] : null })
        tally.answered++
        return
      }
      const chunks = await client.chat.completions.create({ ...options, stream: true, logprobs: kind === 4 }, { signal: leaver.signal })
      for await (const chunk of chunks) {
        if (kind > 7 && (chunk.choices[0]?.delta.content ?? '') !== '') leaver.abort()
      }
      if (leaver.signal.aborted) tally.left++
      else tally.answered++
    } catch (error) {
      if (leaver.signal.aborted) {
        tally.left++
        return
      }
      const code = error instanceof OpenAI.APIError ? String(error.code) : String(error)
      tally.errors.set(code, (tally.errors.get(code) ?? 0) + 1)
    }
  }

  /** Keeps all users busy until the moment. */
  async function load (until: number, tally: Tally): Promise<void> {
    await Promise.all(Array.from({ length: userCount }, async (_, user) => {
      for (let round = 0; performance.now() < until; round++) await ask(mixSeed(user, round), tally)
    }))
  }

  it('answers everybody, frees everything, and does not grow', async () => {
    const startedAt = performance.now()
    const warmUntil = startedAt + minutes * 60_000 * warmUpShare
    const calm: Tally = { answered: 0, left: 0, errors: new Map() }
    await load(warmUntil, calm)
    const [engine = NaN] = await childrenOf(server.pid)
    const before = { server: residentBytes(server.pid), engine: residentBytes(engine) }
    await load(startedAt + minutes * 60_000, calm)
    const after = { server: residentBytes(server.pid), engine: residentBytes(engine) }

    expect(Object.fromEntries(calm.errors)).toEqual({})
    expect(calm.answered).toBeGreaterThan(0)
    expect(calm.left).toBeGreaterThan(0)
    await waitUntil(async () => await metric(server.origin, 'drawbridge_slots_busy') === 0, 'no busy slot')
    expect(await metric(server.origin, 'vllm:num_requests_waiting')).toBe(0)
    // Heaps breathe; a leak of a few kilobytes per request shows as hundreds of megabytes.
    const toleranceBytes = 96 * 1024 ** 2
    expect(after.server - before.server).toBeLessThan(toleranceBytes)
    expect(after.engine - before.engine).toBeLessThan(toleranceBytes)
  })

  it('comes back as often as its engine process is killed', async () => {
    for (let round = 0; round < 5; round++) {
      const tally: Tally = { answered: 0, left: 0, errors: new Map() }
      const loading = load(performance.now() + 4000, tally)
      await waitUntil(async () => await metric(server.origin, 'drawbridge_slots_busy') > 0, 'a busy slot')
      const [engine] = await childrenOf(server.pid)
      if (engine !== undefined) process.kill(engine, 'SIGKILL')
      await loading
      expect([...tally.errors.keys()].filter((code) => code !== 'engine_crashed')).toEqual([])
      await waitUntil(async () => await isReady(server.origin), 'readiness')
    }
    expect(server.child.exitCode).toBeNull()
    expect(await metric(server.origin, 'drawbridge_engine_restarts_total')).toBe(5)
    expect(await server.stop()).toBe(0)
  })
})
