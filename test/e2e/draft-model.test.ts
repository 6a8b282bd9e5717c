import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { metric, startServer, type ServerProcess, waitUntil } from '../support/server-process.ts'

interface Completion {
  readonly choices: readonly { readonly text: string, readonly finish_reason: string }[]
  readonly usage: { readonly completion_tokens: number }
}

const ask = (text: string): string => `<|im_start|>user\n${text}<|im_end|>\n<|im_start|>assistant\n`

async function complete (server: ServerProcess, body: object, signal?: AbortSignal): Promise<Completion> {
  const response = await fetch(`${server.baseURL}/completions`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body), ...(signal === undefined ? {} : { signal })
  })
  expect(response.status).toBe(200)
  return await response.json() as Completion
}

const drafted = async (server: ServerProcess): Promise<number> => await metric(server.origin, 'drawbridge_draft_model_guesses_total')

/** Two servers that differ in nothing but whether they have a draft model. */
describe.each([
  ['the demo model', ['--threads', '1', '--context-size', '1024'], 'demo', 'drawbridge-demo'],
  ['the fake engine', ['--model', 'fake', '--fake-prefill-token-ms', '0.01', '--fake-draft-token-ms', '0.1'], 'fake', 'fake']
])('--draft-model with %s', (_, flags, draftModel, model) => {
  let plain: ServerProcess
  let drafting: ServerProcess

  beforeAll(async () => {
    [plain, drafting] = await Promise.all([[], ['--draft-model', draftModel]].map(async (more) =>
      await startServer([...flags, ...more]))) as [ServerProcess, ServerProcess]
  })

  afterAll(async () => { await Promise.all([plain, drafting].map(async (server) => { await server[Symbol.asyncDispose]() })) })

  const bodies: readonly (readonly [string, object])[] = [
    ['greedy', { temperature: 0 }],
    ['seeded', { temperature: 0.8, seed: 7 }],
    ['penalised', { temperature: 0.6, seed: 3, frequency_penalty: 0.4, presence_penalty: 0.2 }]
  ]
  it.each(bodies)('changes no %s answer and no usage', async (_kind, sampling) => {
    for (const question of ['Tell me a story.', 'Count from 1 to 60.']) {
      const body = { model, prompt: ask(question), max_tokens: 150, ...sampling }
      expect(await complete(drafting, body)).toMatchObject({ choices: (await complete(plain, body)).choices })
    }
  })

  it('guesses, and says how many of its guesses were right', async () => {
    await waitUntil(async () => await drafted(drafting) > 0, 'a draft')
    const right = await metric(drafting.origin, 'drawbridge_draft_model_right_guesses_total')
    expect(right).toBeGreaterThan(0)
    expect(right).toBeLessThanOrEqual(await drafted(drafting))
    expect(await metric(drafting.origin, 'vllm:spec_decode_num_accepted_tokens_total')).toBeGreaterThanOrEqual(right)
    expect(await drafted(plain)).toBe(0)
    expect(drafting.output()).toContain('"draftModel"')
  })

  it('ends an answer of several streams where it is cancelled, and goes on for the others', async () => {
    const body = (question: string): object => ({ model, prompt: ask(question), max_tokens: 200, temperature: 0, ignore_eos: true })
    const leaving = new AbortController()
    const answers = ['Tell me a story.', 'Count from 1 to 100.', 'List ten animals.'].map(async (question) => await complete(drafting, body(question)))
    const left = complete(drafting, { ...body('Tell me about the sea.'), max_tokens: 900 }, leaving.signal).catch((error: unknown) => error)
    await waitUntil(async () => await metric(drafting.origin, 'vllm:num_requests_running') > 1, 'running answers')
    leaving.abort()
    expect(await left).toMatchObject({ name: 'AbortError' })
    for (const answer of answers) expect((await answer).usage.completion_tokens).toBe(200)
    await waitUntil(async () => await metric(drafting.origin, 'vllm:num_requests_running') === 0, 'the end of all')
    // Its slot serves the next one, whose answer is its own.
    const next = { ...body('Tell me a story.'), max_tokens: 60 }
    expect((await complete(drafting, next)).choices).toEqual((await complete(plain, next)).choices)
  })
})
