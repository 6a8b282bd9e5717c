import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { metric, startServer, type ServerProcess, waitUntil } from '../support/server-process.ts'

interface Completion {
  readonly choices: readonly { readonly text: string, readonly finish_reason: string }[]
  readonly usage: { readonly completion_tokens: number }
}

/** Two servers that differ in nothing but whether they guess ahead. */
describe('--speculate', () => {
  let plain: ServerProcess
  let guessing: ServerProcess

  beforeAll(async () => {
    [plain, guessing] = await Promise.all(['off', 'auto'].map(async (speculate) =>
      await startServer(['--model', 'fake', '--fake-step-ms', '0', '--fake-decode-token-ms', '0', '--speculate', speculate]))) as [ServerProcess, ServerProcess]
  })

  afterAll(async () => { await Promise.all([plain, guessing].map(async (server) => { await server[Symbol.asyncDispose]() })) })

  const complete = async (server: ServerProcess, body: object): Promise<Completion> => {
    const response = await fetch(`${server.baseURL}/completions`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'fake', prompt: 'Once', ...body })
    })
    expect(response.status).toBe(200)
    return await response.json() as Completion
  }

  /** Answers of three tokens, in whatever order the dice say. */
  const few = { logit_bias: { 70: 50, 71: 50, 72: 45 }, ignore_eos: true, max_tokens: 150 }

  it('takes fewer steps for answers that repeat themselves, and says how many guesses were right', async () => {
    const body = { ...few, temperature: 0 }
    expect((await complete(guessing, body)).choices).toEqual((await complete(plain, body)).choices)
    // The metrics follow within moments.
    await waitUntil(async () => await metric(guessing.origin, 'vllm:generation_tokens_total') === 150)
    const right = await metric(guessing.origin, 'vllm:spec_decode_num_accepted_tokens_total')
    expect(right).toBeGreaterThan(0)
    expect(await metric(guessing.origin, 'vllm:spec_decode_num_draft_tokens_total')).toBeGreaterThanOrEqual(right)
    expect(await metric(guessing.origin, 'drawbridge_steps_total')).toBe(150 - right)
    expect(await metric(plain.origin, 'vllm:spec_decode_num_draft_tokens_total')).toBe(0)
  })

  it.each([1, 2, 3, 4])('changes no answer and no usage, with seed %i', async (seed) => {
    const body = { ...few, seed, temperature: 0.7, frequency_penalty: 0.01 }
    const expected = await complete(plain, body)
    const [choice] = expected.choices
    expect(await complete(guessing, body)).toMatchObject({ choices: expected.choices, usage: expected.usage })
    // An answer that ends at a text in the middle of a burst ends there.
    const stop = choice!.text.slice(60, 72)
    const stopped = await complete(plain, { ...body, stop })
    expect(stopped.choices[0]).toMatchObject({ finish_reason: 'stop' })
    expect(await complete(guessing, { ...body, stop })).toMatchObject({ choices: stopped.choices, usage: stopped.usage })
  })
})
