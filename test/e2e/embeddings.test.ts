import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encoderContextSize, encoderWidth, writeTinyEncoder } from '../support/random-encoder.ts'
import { metric, startServer, type ServerProcess, waitUntil } from '../support/server-process.ts'

/** The built server as users start it: an encoder, a reranker and a model that writes text, which embeds too. */
describe('a server with an encoder, a reranker and a chat model', () => {
  let folder = ''
  let server: ServerProcess
  let client: OpenAI
  const chat = 'drawbridge-demo'

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'drawbridge-encoders-'))
    const [encoder, reranker] = [await writeTinyEncoder(folder, 'mean'), await writeTinyEncoder(folder, 'rank')]
    server = await startServer([
      '--model', encoder, '--model', reranker, '--model', 'demo', '--embeddings', '--gpu', 'off', '--threads', '1', '--context-size', '1024', '--step-tokens', '128'
    ])
    client = new OpenAI({ baseURL: server.baseURL, apiKey: 'none', maxRetries: 0 })
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })

  it('lists what each can do, and as long inputs as each takes', async () => {
    const { data } = await client.models.list()
    expect(data).toMatchObject([
      { id: 'tiny-mean', capabilities: ['embeddings'], max_model_len: encoderContextSize },
      { id: 'tiny-rank', capabilities: ['rerank'], max_model_len: encoderContextSize },
      { id: chat, capabilities: ['completion', 'embeddings'], max_model_len: 1024 }
    ])
  })

  it('makes embeddings with the encoder and with the chat model', async () => {
    for (const [model, size] of [['tiny-mean', encoderWidth], [chat, 192]] as const) {
      const { data, usage } = await client.embeddings.create({ model, input: ['the river', 'hello', 'the river'] })
      expect(data.map(({ embedding }) => embedding.length)).toEqual([size, size, size])
      expect(data[2]?.embedding).toEqual(data[0]?.embedding)
      expect(data[1]?.embedding).not.toEqual(data[0]?.embedding)
      expect(usage.prompt_tokens).toBeGreaterThan(3)
    }
    expect(await metric(server.origin, 'drawbridge_embedded_inputs_total')).toBeGreaterThan(0)
  })

  it('takes no longer inputs for the chat model\'s vectors than a step has tokens', async () => {
    const input = 'word '.repeat(300)
    await expect(client.embeddings.create({ model: chat, input })).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded', message: expect.stringContaining('128 tokens') as string })
  })

  it('ranks documents', async () => {
    const response = await fetch(`${server.baseURL}/rerank`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'tiny-rank', query: 'river', documents: ['a', 'b c', 'the river'], top_n: 2 })
    })
    expect(response.status).toBe(200)
    const { results } = await response.json() as { results: { relevance_score: number }[] }
    expect(results).toHaveLength(2)
    expect(results[0]?.relevance_score).toBeGreaterThanOrEqual(results[1]?.relevance_score ?? NaN)
  })

  it('streams an answer to its end, the same as alone, while the same model embeds', async () => {
    const body = { model: chat, prompt: '<|im_start|>user\nTell me a story.<|im_end|>\n<|im_start|>assistant\n', temperature: 0, max_tokens: 60 }
    const alone = await client.completions.create(body)
    const [embeddings, beside] = await Promise.all([
      client.embeddings.create({ model: chat, input: Array.from({ length: 100 }, (_, index) => `text number ${index}`) }),
      client.completions.create(body)
    ])
    expect(embeddings.data).toHaveLength(100)
    expect(beside.choices).toEqual(alone.choices)
  })

  it('says in its log what an embedding model is not for', async () => {
    await expect(client.chat.completions.create({ model: 'tiny-mean', messages: [{ role: 'user', content: 'Hi' }] })).rejects.toMatchObject({ status: 400, param: 'model' })
    await waitUntil(async () => server.output().includes('"errorCode":"unsupported_value"'), 'the line of the log')
  })
})
