import { afterEach, describe, expect, it } from 'vitest'
import { decodeVector } from '../../../src/domain/vector-bytes.ts'
import { createFakeEngine, type FakeEngineOptions } from '../../../src/engine/fake/fake-engine.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import { buildTestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const closers: (() => Promise<void>)[] = []
afterEach(async () => { for (const close of closers.splice(0)) await close() })

interface Answer {
  readonly object: string
  readonly model: string
  readonly data: readonly { readonly object: string, readonly index: number, readonly embedding: number[] | string }[]
  readonly usage: unknown
}

interface Ranks {
  readonly results: readonly { readonly index: number, readonly relevance_score: number, readonly document?: unknown }[]
}

async function setUp (engineOptions: FakeEngineOptions = { embeddings: 'mean', canGenerate: false, contextSize: 64 }) {
  const inference = new LocalInference(createFakeEngine(engineOptions), { maxQueue: 8 })
  const { app, log, logText } = await buildTestApp([createTestHost(inference, { id: 'fake' })])
  closers.push(async () => {
    await app.close()
    await inference.close()
  })
  const post = async (url: string, body: object) => await app.inject({ method: 'POST', url, payload: { model: 'fake', ...body } })
  const embed = async (body: object): Promise<Answer> => (await post('/v1/embeddings', body)).json<Answer>()
  const refusal = async (url: string, body: object): Promise<unknown> => {
    const response = await post(url, body)
    return { status: response.statusCode, ...response.json<{ error: object }>().error }
  }
  return { app, log, logText, post, embed, refusal, inference }
}

const lengthOf = (vector: readonly number[]): number => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))

describe('embeddings', () => {
  it('have OpenAI\'s shape, in the order of the inputs, and length 1', async () => {
    const { embed } = await setUp()
    const answer = await embed({ input: ['the river', 'hello', 'the river'] })
    expect(answer).toEqual({
      object: 'list',
      model: 'fake',
      data: [0, 1, 2].map((index) => ({ object: 'embedding', index, embedding: expect.any(Array) as number[] })),
      usage: { prompt_tokens: expect.any(Number) as number, total_tokens: expect.any(Number) as number }
    })
    const [first, second, third] = answer.data.map(({ embedding }) => embedding as number[])
    expect(first).toHaveLength(16)
    expect(lengthOf(first ?? [])).toBeCloseTo(1, 6)
    expect(third).toEqual(first)
    expect(second).not.toEqual(first)
  })

  it('are the same for a text and its tokens, and counted', async () => {
    const { embed, post } = await setUp()
    const tokens = (await post('/v1/tokenize', { prompt: 'the river' })).json<{ tokens: number[] }>().tokens
    const answers = await Promise.all([
      embed({ input: 'the river' }), embed({ input: ['the river'] }), embed({ input: tokens }), embed({ input: [tokens] })
    ])
    const [first] = answers
    for (const answer of answers) expect(answer).toEqual(first)
    expect(first?.usage).toEqual({ prompt_tokens: tokens.length, total_tokens: tokens.length })
    expect((await embed({ input: [tokens, tokens] })).usage).toMatchObject({ total_tokens: 2 * tokens.length })
  })

  it('are bit by bit the same as base64', async () => {
    const { embed } = await setUp()
    const { data: [plain] } = await embed({ input: 'the river' })
    const { data: [encoded] } = await embed({ input: 'the river', encoding_format: 'base64' })
    expect([...decodeVector(encoded?.embedding as string)]).toEqual(plain?.embedding)
  })

  it('are cut to their first numbers and made as long as before', async () => {
    const { embed, refusal } = await setUp()
    const [whole, part] = [await embed({ input: 'the river' }), await embed({ input: 'the river', dimensions: 4 })]
    const [vector, short] = [whole, part].map(({ data }) => data[0]?.embedding as number[])
    expect(short).toHaveLength(4)
    expect(lengthOf(short ?? [])).toBeCloseTo(1, 6)
    const ratio = (short?.[0] ?? NaN) / (vector?.[0] ?? NaN)
    for (const [index, value] of short?.entries() ?? []) expect(value).toBeCloseTo((vector?.[index] ?? NaN) * ratio, 5)
    expect((await embed({ input: 'x', dimensions: 16 })).data[0]?.embedding).toHaveLength(16)
    expect(await refusal('/v1/embeddings', { input: 'x', dimensions: 17 })).toMatchObject({ status: 400, param: 'dimensions', message: expect.stringContaining('16') as string })
  })

  it('take as many inputs as OpenAI\'s', async () => {
    const { embed, refusal } = await setUp()
    const texts = Array.from({ length: 2048 }, (_, index) => `text ${index}`)
    const { data } = await embed({ input: texts })
    expect(data.map(({ index }) => index)).toEqual(texts.map((_, index) => index))
    expect(await refusal('/v1/embeddings', { input: [...texts, 'one more'] })).toMatchObject({ status: 400, param: 'input', message: expect.stringContaining('2048') as string })
  })

  it.each<[string, object, object]>([
    ['no input', {}, { code: 'missing_required_parameter', param: 'input' }],
    ['an empty text', { input: '' }, { code: 'invalid_value', param: 'input[0]' }],
    ['an empty text among others', { input: ['a', ''] }, { code: 'invalid_value', param: 'input[1]' }],
    ['no texts', { input: [] }, { code: 'invalid_value', param: 'input' }],
    ['no tokens', { input: [[]] }, { code: 'invalid_value', param: 'input[0]' }],
    ['a number', { input: 5 }, { code: 'invalid_value', param: 'input' }],
    ['an object', { input: [{ text: 'a' }] }, { code: 'invalid_value', param: 'input[0]' }],
    ['a text among tokens', { input: [1, 'a'] }, { code: 'invalid_value', param: 'input[0]' }],
    ['a token that is none', { input: [[1], [2, 100_000]] }, { code: 'invalid_value', param: 'input[1][1]' }],
    ['half a token', { input: [1.5] }, { code: 'invalid_value', param: 'input[0]' }],
    ['too long a text', { input: ['a', 'river '.repeat(100)] }, { code: 'context_length_exceeded', param: 'input[1]' }],
    ['too many tokens', { input: [Array.from({ length: 65 }, () => 1)] }, { code: 'context_length_exceeded', param: 'input[0]' }],
    ['no dimensions', { input: 'a', dimensions: 0 }, { code: 'invalid_value', param: 'dimensions' }],
    ['half a dimension', { input: 'a', dimensions: 2.5 }, { code: 'invalid_value', param: 'dimensions' }],
    ['an unknown encoding', { input: 'a', encoding_format: 'int8' }, { code: 'invalid_value', param: 'encoding_format' }],
    ['truncation', { input: 'a', truncate_prompt_tokens: 5 }, { code: 'unsupported_parameter', param: 'truncate_prompt_tokens' }],
    ['a kind of input', { input: 'a', input_type: 'query' }, { code: 'unsupported_parameter', param: 'input_type' }],
    ['vectors of another length', { input: 'a', normalize: false }, { code: 'unsupported_parameter', param: 'normalize' }],
    ['an adapter', { input: 'a', lora: [] }, { code: 'unsupported_parameter', param: 'lora' }],
    ['an unknown parameter', { input: 'a', dimension: 5 }, { code: 'unknown_parameter', param: 'dimension' }],
    ['an unknown model', { input: 'a', model: 'nobody' }, { status: 404, code: 'model_not_found', param: 'model' }]
  ])('refuse %s by name', async (_, body, error) => {
    const { refusal } = await setUp()
    expect(await refusal('/v1/embeddings', body)).toMatchObject({ status: 400, ...error })
  })

  it('accept what has no effect, and take null for absent', async () => {
    const { embed } = await setUp()
    const { data } = await embed({ input: 'a', user: 'someone', normalize: true, dimensions: null, encoding_format: null, service_tier: 'auto' })
    expect(data).toHaveLength(1)
  })

  it('are made by models that do it, and by no others', async () => {
    const generator = await setUp({})
    expect(await generator.refusal('/v1/embeddings', { input: 'a' })).toMatchObject({ status: 400, code: 'unsupported_value', param: 'model', message: expect.stringContaining('--embeddings') as string })
    expect(await generator.refusal('/v1/rerank', { query: 'a', documents: ['b'] })).toMatchObject({ status: 400, code: 'unsupported_value', param: 'model' })
    const both = await setUp({ embeddings: 'mean' })
    expect((await both.embed({ input: 'a' })).data).toHaveLength(1)
    const embedder = await setUp()
    for (const [url, body] of [['/v1/chat/completions', { messages: [{ role: 'user', content: 'Hi' }] }], ['/v1/completions', { prompt: 'Hi' }]] as const) {
      expect(await embedder.refusal(url, body)).toMatchObject({ status: 400, code: 'unsupported_value', param: 'model', message: expect.stringContaining('/v1/embeddings') as string })
      expect((await both.post(url, { ...body, max_tokens: 3 })).statusCode).toBe(200)
    }
  })

  it('are told of by the list of models', async () => {
    const capabilities = async (options: FakeEngineOptions): Promise<unknown> => {
      const { app } = await setUp(options)
      return (await app.inject('/v1/models')).json<{ data: { capabilities?: unknown }[] }>().data[0]?.capabilities
    }
    expect(await capabilities({})).toBeUndefined()
    expect(await capabilities({ embeddings: 'mean' })).toEqual(['completion', 'embeddings'])
    expect(await capabilities({ embeddings: 'cls', canGenerate: false })).toEqual(['embeddings'])
    expect(await capabilities({ embeddings: 'rank', canGenerate: false })).toEqual(['rerank'])
  })

  it('count in log and metrics, without a word of the input', async () => {
    const { embed, app, log, logText } = await setUp()
    await embed({ input: ['the secret river', 'x'] })
    await app.close()
    const line = log().find(({ msg }) => msg === 'request finished')
    expect(line).toMatchObject({ route: '/v1/embeddings', status: 200, model: 'fake', completionTokens: 0, completionId: expect.stringMatching(/^embd-/) as string, queuedMs: expect.any(Number) as number })
    expect(line?.['promptTokens']).toBeGreaterThan(4)
    expect(logText()).not.toContain('secret')
  })

  it('are numbers in the metrics', async () => {
    const { embed, app } = await setUp()
    await embed({ input: ['the river', 'x'] })
    const metrics = (await app.inject('/metrics')).payload
    expect(metrics).toContain('drawbridge_embedded_inputs_total{model_name="fake"} 2')
    expect(metrics).toMatch(/vllm:prompt_tokens_total\{model_name="fake"\} [1-9]/)
    expect(metrics).toContain('vllm:e2e_request_latency_seconds_count{model_name="fake"} 1')
    expect(metrics).not.toContain('vllm:request_generation_tokens_count{model_name="fake"} 1')
  })
})

describe('reranking', () => {
  const reranker = { embeddings: 'rank', canGenerate: false, contextSize: 64 } as const
  const documents = ['hello world', 'by the river', { text: 'the river bank of a river' }, 'the']

  it.each(['/v1/rerank', '/v2/rerank', '/rerank'])('%s sorts documents by how well they answer', async (url) => {
    const { post } = await setUp(reranker)
    const answer = (await post(url, { query: 'the river', documents })).json<Ranks>()
    expect(answer).toEqual({
      id: expect.stringMatching(/^rerank-[0-9a-f]{32}$/) as string,
      object: 'list',
      model: 'fake',
      results: expect.any(Array) as unknown,
      usage: { prompt_tokens: expect.any(Number) as number, total_tokens: expect.any(Number) as number }
    })
    const scores = answer.results.map(({ relevance_score: score }) => score)
    expect(scores).toEqual(scores.toSorted((a, b) => b - a))
    expect(Math.max(...scores)).toBeLessThan(1)
    expect(Math.min(...scores)).toBeGreaterThan(0)
    expect(answer.results.map(({ index }) => index).toSorted()).toEqual([0, 1, 2, 3])
    expect(answer.results[0]?.index).toBe(2)
    for (const { index, document } of answer.results) {
      const sent = documents[index] ?? ''
      expect(document).toEqual({ text: typeof sent === 'string' ? sent : sent.text })
    }
  })

  it('returns as many as are wanted, with or without their texts', async () => {
    const { post } = await setUp(reranker)
    const all = (await post('/v1/rerank', { query: 'the river', documents })).json<Ranks>()
    const two = (await post('/v1/rerank', { query: 'the river', documents, top_n: 2, return_documents: false })).json<Ranks>()
    expect(two.results).toEqual(all.results.slice(0, 2).map(({ index, relevance_score: score }) => ({ index, relevance_score: score })))
    expect((await post('/v1/rerank', { query: 'a', documents: ['b'], top_n: 9 })).json<Ranks>().results).toHaveLength(1)
  })

  it.each<[string, object, object]>([
    ['no query', { documents: ['a'] }, { code: 'missing_required_parameter', param: 'query' }],
    ['an empty query', { query: '', documents: ['a'] }, { code: 'invalid_value', param: 'query' }],
    ['no documents', { query: 'a', documents: [] }, { code: 'invalid_value', param: 'documents' }],
    ['another document', { query: 'a', documents: [{ title: 'b' }] }, { code: 'invalid_value', param: 'documents[0]' }],
    ['a document that is too long', { query: 'a', documents: ['b', 'river '.repeat(100)] }, { code: 'context_length_exceeded', param: 'documents[1]' }],
    ['no results', { query: 'a', documents: ['b'], top_n: 0 }, { code: 'invalid_value', param: 'top_n' }],
    ['truncation', { query: 'a', documents: ['b'], max_tokens_per_doc: 5 }, { code: 'unsupported_parameter', param: 'max_tokens_per_doc' }],
    ['an unknown parameter', { query: 'a', documents: ['b'], topn: 5 }, { code: 'unknown_parameter', param: 'topn' }]
  ])('refuses %s by name', async (_, body, error) => {
    const { refusal } = await setUp(reranker)
    expect(await refusal('/v1/rerank', body)).toMatchObject({ status: 400, ...error })
  })

  it('counts the query for each document, and takes no more tokens than may wait', async () => {
    const { post, refusal } = await setUp({ ...reranker, contextSize: 4096 })
    const query = 'river '.repeat(3000)
    expect((await post('/v1/rerank', { query, documents: ['a', 'b'] })).json<{ usage: { prompt_tokens: number } }>().usage.prompt_tokens).toBeGreaterThan(6000)
    expect(await refusal('/v1/rerank', { query, documents: new Array(2048).fill('a') }))
      .toMatchObject({ status: 400, code: 'invalid_value', param: 'documents', message: expect.stringContaining('4194304 tokens') as string })
  })

  it('is for rerankers, which make no embeddings', async () => {
    const { refusal } = await setUp(reranker)
    expect(await refusal('/v1/embeddings', { input: 'a' })).toMatchObject({ status: 400, code: 'unsupported_value', param: 'model', message: expect.stringContaining('/v1/rerank') as string })
    const embedder = await setUp()
    expect(await embedder.refusal('/v1/rerank', { query: 'a', documents: ['b'] })).toMatchObject({ status: 400, code: 'unsupported_value', param: 'model' })
  })
})
