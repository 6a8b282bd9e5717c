import OpenAI from 'openai'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Engine } from '../../../src/engine/engine.ts'
import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import { createLlamaCppEngine } from '../../../src/engine/llama-cpp/llama-cpp-engine.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import { encoderContextSize, encoderWidth, writeTinyEncoder } from '../../support/random-encoder.ts'
import { buildTestApp, listen } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const folder = await mkdtemp(join(tmpdir(), 'drawbridge-encoders-'))
afterAll(async () => { await rm(folder, { recursive: true }) })

const createEncoder = async (pooling: 'mean' | 'rank'): Promise<Engine> => await createLlamaCppEngine({
  modelPath: await writeTinyEncoder(folder, pooling),
  gpu: 'off',
  gpuLayers: 'auto',
  threads: 1,
  laneCount: 1,
  slotsPerLane: 1,
  contextSize: encoderContextSize,
  maxStepTokens: encoderContextSize
})

describe.each<[string, number, (pooling: 'mean' | 'rank') => Promise<Engine>]>([
  ['the fake engine', 16, async (pooling) => createFakeEngine({ embeddings: pooling, canGenerate: false, contextSize: 128 })],
  ['a tiny BERT', encoderWidth, createEncoder]
])('embeddings of %s', (_, size, create) => {
  const inferences: LocalInference[] = []
  const start = async (pooling: 'mean' | 'rank') => {
    const inference = new LocalInference(await create(pooling), { maxQueue: 16 })
    inferences.push(inference)
    return createTestHost(inference, { id: pooling })
  }
  let app: Awaited<ReturnType<typeof buildTestApp>>['app']
  let origin = ''
  let client: OpenAI
  beforeAll(async () => {
    ({ app } = await buildTestApp([await start('mean'), await start('rank')]))
    ;({ origin } = await listen(app))
    client = new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'none', maxRetries: 0 })
  })
  afterAll(async () => {
    app.server.closeAllConnections()
    await app.close()
    for (const inference of inferences) await inference[Symbol.asyncDispose]()
  })

  it('come through the openai client, which asks for base64 and decodes it', async () => {
    const input = ['the river bank', 'hello, world']
    const encoded = await client.embeddings.create({ model: 'mean', input })
    const plain = await client.embeddings.create({ model: 'mean', input, encoding_format: 'float' })
    expect(encoded.data.map(({ embedding }) => embedding.length)).toEqual([size, size])
    expect(plain.usage.total_tokens).toBe(encoded.usage.prompt_tokens)
    for (const [index, { embedding }] of encoded.data.entries()) {
      expect(Array.from(embedding)).toEqual(plain.data[index]?.embedding)
      expect(Math.hypot(...embedding)).toBeCloseTo(1, 5)
    }
    const short = await client.embeddings.create({ model: 'mean', input, dimensions: 8 })
    expect(short.data[1]?.embedding).toHaveLength(8)
  })

  it('come 2048 at a time, each as it is alone', async () => {
    const input = Array.from({ length: 2048 }, (_, index) => `text ${index}`)
    const { data } = await client.embeddings.create({ model: 'mean', input })
    expect(data.map(({ index }) => index)).toEqual(input.map((_, index) => index))
    for (const index of [0, 1000, 2047]) {
      const alone = await client.embeddings.create({ model: 'mean', input: input[index] ?? '' })
      expect(Array.from(data[index]?.embedding ?? [])).toEqual(Array.from(alone.data[0]?.embedding ?? []))
    }
  })

  it('are refused in the client\'s own classes', async () => {
    await expect(client.embeddings.create({ model: 'mean', input: ['a', 'river '.repeat(200)] })).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded', param: 'input[1]' })
    await expect(client.embeddings.create({ model: 'rank', input: 'a' })).rejects.toBeInstanceOf(OpenAI.BadRequestError)
    await expect(client.chat.completions.create({ model: 'mean', messages: [{ role: 'user', content: 'Hi' }] })).rejects.toMatchObject({ code: 'unsupported_value', param: 'model' })
  })

  it('end when the client leaves', async () => {
    const controller = new AbortController()
    const input = Array.from({ length: 2048 }, (_, index) => `a longer text, of which there are many, with the number ${index}`)
    const request = client.embeddings.create({ model: 'mean', input }, { signal: controller.signal })
    await expect.poll(() => inferences[0]?.snapshot().requests).toBe(1)
    controller.abort()
    await expect(request).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
    await expect.poll(() => inferences[0]?.snapshot().requests).toBe(0)
  })

  it('rank documents', async () => {
    const documents = ['the river runs by', 'hello, world', '13 dogs']
    const response = await fetch(`${origin}/v1/rerank`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'rank', query: 'the river', documents, top_n: 2 })
    })
    const { results } = await response.json() as { results: { index: number, relevance_score: number, document: { text: string } }[] }
    expect(results).toHaveLength(2)
    expect(results[0]?.relevance_score).toBeGreaterThanOrEqual(results[1]?.relevance_score ?? NaN)
    for (const { index, document } of results) expect(document.text).toBe(documents[index])
  })
})
