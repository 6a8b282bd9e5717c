import { describe, expect, it } from 'vitest'
import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import { collectEvents, embeddingRequest, neverAborted } from '../../support/generation.ts'
import { createTestHost } from '../../support/process-host.ts'
import { describeEmbeddingInference } from './embedding-contract.ts'

const embedding = { embeddings: 'mean', canGenerate: false, stepMs: 0.5 } as const

describeEmbeddingInference('in this process, fake engine', async ({ maxQueue, ...limits }) =>
  new LocalInference(createFakeEngine({ ...limits, ...embedding }), { maxQueue }))

describeEmbeddingInference('in an engine process, fake engine', async ({ maxQueue, ...limits }) => {
  const host = createTestHost({ spec: { backend: 'fake', options: { ...limits, ...embedding } }, scheduling: { maxQueue } })
  await host.ready(new AbortController().signal)
  return host.inference
})

describe('ranks of the fake engine', () => {
  it('hang on query and text, whose tokens count both, and are for requests with a query', async () => {
    const inference = new LocalInference(createFakeEngine({ embeddings: 'rank', canGenerate: false, contextSize: 32 }), { maxQueue: 4 })
    const rank = async (query: string, texts: readonly string[]) => await collectEvents(inference.embed(embeddingRequest(texts, { query, param: 'documents' }), neverAborted))
    const events = await rank('the river', ['the river bank', '', 'hello'])
    const scores = events.flatMap((event) => event.type === 'embedded' ? [event.vector[0] ?? NaN] : [])
    expect(scores).toHaveLength(3)
    expect(scores[0]).toBeGreaterThan(scores[1] ?? NaN)
    const count = async (text: string): Promise<number> => (await inference.tokenize({ segments: [{ text, origin: 'user' }] }, { addBos: false })).length
    const [query, bank, hello] = [await count('the river'), await count('the river bank'), await count('hello')]
    expect(events[0]).toMatchObject({ promptTokens: 3 * (query + 3) + bank + hello })
    await expect(rank('the river '.repeat(20), ['hello'])).rejects.toMatchObject({ code: 'context_length_exceeded', param: 'documents[0]' })
    await expect(collectEvents(inference.embed(embeddingRequest(['hello']), neverAborted))).rejects.toMatchObject({ code: 'unsupported_value', param: 'model' })
    await inference.close()
  })
})
