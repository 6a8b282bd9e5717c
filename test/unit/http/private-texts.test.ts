import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { AdapterLibrary } from '../../../src/adapters/adapter-library.ts'
import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import { createModelCatalogue } from '../../../src/models/catalogue.ts'
import { createOtlpTracing } from '../../../src/telemetry/otlp-tracing.ts'
import { type OtlpCollector, startOtlpCollector } from '../../support/otlp-collector.ts'
import { createScriptedRegistry } from '../../support/scripted-adapter-host.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp, listen, type TestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

/** What a test looks for in everything that is written: all that clients send and get begins with it. */
const marker = 'qzmarker'
const key = `${marker}-key`
const messages = [{ role: 'user', content: `${marker} prompt` }]
const tool = { name: `${marker}_tool`, description: marker, parameters: { type: 'object', properties: { [marker]: { type: 'string', description: marker } } } }

/** Every endpoint that takes texts, as it should be used and otherwise. */
const requests: readonly (readonly [url: string, body: object | string, status: number])[] = [
  ['/v1/chat/completions', { model: 'base', messages, user: marker, metadata: { a: marker }, stop: [`${marker}-stop`] }, 200],
  ['/v1/chat/completions', { model: 'base', messages, stream: true, tools: [{ type: 'function', function: tool }] }, 200],
  ['/v1/chat/completions', { model: 'base', messages, response_format: { type: 'json_schema', json_schema: { name: 'x', schema: { type: 'object', properties: { [marker]: { const: marker } } } } } }, 200],
  ['/v1/chat/completions', { model: 'base', messages: [{ role: marker, content: marker }] }, 400],
  ['/v1/chat/completions', { model: 'base', messages, [marker]: marker }, 400],
  ['/v1/chat/completions', { model: marker, messages }, 404],
  ['/v1/chat/completions', `{"model":"base","messages":[{"role":"user","content":"${marker}"`, 400],
  ['/v1/chat/completions', { model: 'failing', messages }, 500],
  ['/v1/chat/completions', { model: 'failing', messages, stream: true }, 500],
  ['/v1/completions', { model: 'base', prompt: marker, suffix: marker }, 400],
  ['/v1/completions', { model: 'base', prompt: [marker, marker], echo: true }, 200],
  ['/v1/completions', { model: 'base', prompt: marker, stream: true }, 200],
  ['/v1/responses', { model: 'base', input: marker, instructions: marker, metadata: { a: marker } }, 200],
  ['/v1/responses', { model: 'base', input: marker, stream: true }, 200],
  ['/v1/responses', { model: 'base', input: marker, background: true }, 200],
  ['/v1/responses', { model: 'failing', input: marker }, 500],
  ['/v1/responses', { model: 'base', input: marker, previous_response_id: `resp_${marker}` }, 400],
  ['/v1/responses/input_tokens', { model: 'base', input: marker }, 200],
  ['/v1/conversations', { items: [{ type: 'message', role: 'user', content: marker }], metadata: { a: marker } }, 200],
  ['/v1/conversations/conv_x/items', { items: [{ type: 'message', role: 'user', content: marker }] }, 404],
  ['/v1/messages', { model: 'base', max_tokens: 9, system: marker, messages }, 200],
  ['/v1/messages', { model: 'base', max_tokens: 9, messages, stream: true }, 200],
  ['/v1/messages', { model: 'failing', max_tokens: 9, messages }, 500],
  ['/v1/messages/count_tokens', { model: 'base', messages }, 200],
  ['/v1/embeddings', { model: 'embedder', input: [marker, `${marker} two`] }, 200],
  ['/v1/embeddings', { model: 'base', input: marker }, 400],
  ['/v1/rerank', { model: 'ranker', query: marker, documents: [marker, `${marker} two`] }, 200],
  ['/v1/tokenize', { model: 'base', prompt: marker }, 200],
  ['/v1/tokenize', { model: 'base', messages }, 200],
  ['/v1/detokenize', { model: 'base', tokens: [...marker].map((character) => character.charCodeAt(0)) }, 200],
  [`/v1/${marker}?${marker}=${marker}`, { [marker]: marker }, 404],
  [`/v1/adapters?a=${marker}`, { name: 'x', source: `10 ${marker}`, [marker]: 1 }, 400]
]

let testApp: TestApp
let app: FastifyInstance
let collector: OtlpCollector
let closeTracing: () => Promise<void>
const audited: object[] = []
const disposers: (() => Promise<unknown>)[] = []

beforeAll(async () => {
  collector = await startOtlpCollector()
  disposers.push(async () => await collector[Symbol.asyncDispose]())
  const tracing = createOtlpTracing({ url: `${collector.origin}/v1/traces`, version: '1', logger: { info () {}, warn () {} } })
  const answering = createScriptedInference(() => answerEvents([`${marker} answer`, ' end']))
  const failing = createScriptedInference(() => [{ type: 'accepted', promptTokens: 3 }, { type: 'throw', error: new TypeError('a mistake in the server') }])
  const vectors = new LocalInference(createFakeEngine({ embeddings: 'mean', canGenerate: false, contextSize: 64 }), { maxQueue: 8 })
  const ranks = new LocalInference(createFakeEngine({ embeddings: 'rank', canGenerate: false, contextSize: 64 }), { maxQueue: 8 })
  const hosts = [
    createTestHost(answering, { id: 'base' }), createTestHost(failing, { id: 'failing' }), createTestHost(vectors, { id: 'embedder' }), createTestHost(ranks, { id: 'ranker' })
  ]
  const scripted = await createScriptedRegistry({ model: 'base' })
  const library = new AdapterLibrary({ catalogue: createModelCatalogue(hosts), registries: [scripted.registry], resolveReference: (reference) => reference })
  testApp = await buildTestApp(hosts, { logLevel: 'trace', config: { adminKeys: [key] }, adapters: library, tracing, auditLog: { append: (entry) => { audited.push(entry) } } })
  ;({ app } = testApp)
  disposers.push(async () => {
    await app.close()
    await vectors.close()
    await ranks.close()
    await scripted.dispose()
  })
  closeTracing = async () => await tracing.close()
})
afterAll(async () => { for (const dispose of disposers.splice(0).reverse()) await dispose() })

const send = async (url: string, body: object | string, headers: Record<string, string> = { authorization: `Bearer ${key}` }) => await app.inject({
  method: 'POST', url, payload: body, headers: { 'content-type': 'application/json', ...headers }
})

describe('log, traces and metrics', () => {
  let metrics = ''
  afterEach(async () => {
    expect(testApp.logText()).not.toContain(marker)
    expect(JSON.stringify(audited)).not.toContain(marker)
    expect(metrics).not.toContain(marker)
  })

  it.each(requests)('have nothing of what %s was sent or said', async (url, body, status) => {
    const response = await send(url, body)
    expect({ status: response.statusCode, body: response.body }).toMatchObject({ status })
    metrics = (await app.inject({ url: '/metrics', headers: { authorization: `Bearer ${key}` } })).body
  })

  it('have nothing of keys, right and wrong', async () => {
    const body = { model: 'base', messages }
    expect((await send('/v1/chat/completions', body, { 'x-api-key': key })).statusCode).toBe(200)
    expect((await send('/v1/chat/completions', body, { 'x-api-key': `${key}-wrong`, cookie: marker })).statusCode).toBe(401)
    expect((await send('/v1/chat/completions', body, { authorization: `Bearer ${marker}` })).statusCode).toBe(401)
    expect((await send('/v1/chat/completions', body, { authorization: `Basic ${marker}` })).statusCode).toBe(401)
  })

  it('have nothing of what is not even HTTP', async () => {
    const { origin, port } = await listen(app)
    expect((await fetch(`${origin}/v1/chat/completions`, { method: 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': `text/${marker}` }, body: marker })).status).toBe(415)
    const answer = await new Promise<string>((resolve) => {
      let text = ''
      connect(port, '127.0.0.1').on('data', (chunk) => { text += chunk.toString() }).on('close', () => resolve(text)).write(`${marker} ${marker}\r\n\r\n`)
    })
    expect(answer).toContain('400 Bad Request')
  })

  it('tell of all of it otherwise', async () => {
    await app.close()
    await closeTracing()
    expect(testApp.log().filter(({ msg }) => msg === 'request finished').length).toBeGreaterThan(requests.length)
    expect(testApp.log().filter(({ msg }) => msg === 'request failed').length).toBeGreaterThan(2)
    expect(collector.spans().filter(({ kind }) => kind === 2).length).toBeGreaterThan(requests.length)
    expect(collector.text()).not.toContain(marker)
    expect(audited.length).toBeGreaterThan(2)
  })
})

describe('the prompt log', () => {
  it('has the body and the answers of requests that ran a model, and nothing else has', async () => {
    const lines: Record<string, unknown>[] = []
    const inference = createScriptedInference(({ choices }) => answerEvents([`${marker} a`, 'b'], { choices }))
    const vectors = new LocalInference(createFakeEngine({ embeddings: 'mean', canGenerate: false, contextSize: 64 }), { maxQueue: 8 })
    const logged = await buildTestApp([createTestHost(inference, { id: 'base' }), createTestHost(vectors, { id: 'embedder' })], {
      logLevel: 'trace', promptLog: { append: (entry) => { lines.push(JSON.parse(JSON.stringify(entry)) as Record<string, unknown>) } }
    })
    const post = async (url: string, payload: object): Promise<number> => (await logged.app.inject({ method: 'POST', url, payload, headers: { authorization: `Bearer ${key}` } })).statusCode
    const chat = { model: 'base', messages, n: 2, stream: true }
    expect(await post('/v1/chat/completions', chat)).toBe(200)
    expect(await post('/v1/completions', { model: 'base', prompt: ['x', 'y'] })).toBe(200)
    expect(await post('/v1/embeddings', { model: 'embedder', input: 'x' })).toBe(200)
    expect(await post('/v1/chat/completions', { model: 'nobody', messages })).toBe(404)
    await logged.app.close()
    await vectors.close()
    const answer = `${marker} ab`
    expect(lines).toEqual([
      expect.objectContaining({
        time: expect.any(String),
        route: '/v1/chat/completions',
        requestId: expect.stringMatching(/^req_/),
        completionId: expect.stringMatching(/^chatcmpl-/),
        tenant: '127.0.0.1',
        model: 'base',
        adapters: [],
        outcome: 'ok',
        request: chat,
        answers: [answer, answer]
      }),
      expect.objectContaining({ route: '/v1/completions', request: { model: 'base', prompt: ['x', 'y'] }, answers: [answer, answer] }),
      expect.objectContaining({ route: '/v1/embeddings', request: { model: 'embedder', input: 'x' }, answers: [] })
    ])
    expect(JSON.stringify(lines)).not.toContain(key)
    expect(logged.logText()).not.toContain(marker)
  })
})
