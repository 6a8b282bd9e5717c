import { afterEach, describe, expect, it, vi } from 'vitest'
import { AdapterLibrary } from '../../../src/adapters/adapter-library.ts'
import { ServerError } from '../../../src/domain/errors.ts'
import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import { createModelCatalogue } from '../../../src/models/catalogue.ts'
import { createOtlpTracing } from '../../../src/telemetry/otlp-tracing.ts'
import { neverAborted } from '../../support/generation.ts'
import { type CollectedSpan, startOtlpCollector } from '../../support/otlp-collector.ts'
import { patience } from '../../support/patience.ts'
import { createScriptedRegistry, loadRequest } from '../../support/scripted-adapter-host.ts'
import { answerEvents, createScriptedInference, type ScriptStep } from '../../support/scripted-inference.ts'
import { buildTestApp, listen } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const disposers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const dispose of disposers.splice(0).reverse()) await dispose()
  vi.unstubAllEnvs()
})

const traceId = '0af7651916cd43dd8448eb211c80319c'
const callerSpanId = 'b7ad6b7169203331'
const traceparent = `00-${traceId}-${callerSpanId}-01`
const hello = { model: 'base', messages: [{ role: 'user', content: 'marker-of-the-prompt' }] }

/** A clock that moves on by 10 ms whenever somebody looks. */
const createSteppingClock = () => {
  let time = 0
  return () => (time += 10)
}

async function setUp (script: () => readonly ScriptStep[] = () => answerEvents(['marker-of-the-answer', 'b', 'c'], { reason: 'length' }), inference = createScriptedInference(script), closeTimeoutMs = 60_000) {
  const collector = await startOtlpCollector()
  disposers.push(async () => await collector[Symbol.asyncDispose]())
  const warnings: [object, string][] = []
  const tracing = createOtlpTracing({
    url: `${collector.origin}/v1/traces`, version: '1.2.3', closeTimeoutMs, logger: { info: (...line) => { warnings.push(line) }, warn: (...line) => { warnings.push(line) } }
  })
  const host = createTestHost(inference, { id: 'base' })
  const scripted = await createScriptedRegistry({ model: 'base' })
  disposers.push(async () => await scripted.dispose())
  const library = new AdapterLibrary({ catalogue: createModelCatalogue([host]), registries: [scripted.registry], resolveReference: (reference) => reference })
  const { app, log } = await buildTestApp([host], { tracing, adapters: library, now: createSteppingClock() })
  disposers.push(async () => await app.close())
  const post = async (url: string, payload: object, headers: Record<string, string> = {}) => await app.inject({ method: 'POST', url, payload, headers })
  /** Ends the app and gives all its spans; nothing is lost on the way. */
  const finish = async (): Promise<readonly CollectedSpan[]> => {
    await app.close()
    await tracing.close()
    return collector.spans()
  }
  return { app, log, post, finish, collector, tracing, warnings, registry: scripted.registry, inference }
}

const rootsOf = (spans: readonly CollectedSpan[]): CollectedSpan[] => spans.filter(({ kind }) => kind === 2)
const childrenOf = (spans: readonly CollectedSpan[], parent: CollectedSpan | undefined): [name: string, fromMs: number, durationMs: number][] => spans
  .filter(({ parentSpanId, traceId }) => parentSpanId === parent?.spanId && traceId === parent.traceId)
  .map(({ name, startedAtMs, durationMs }): [string, number, number] => [name, Math.round(startedAtMs - (parent?.startedAtMs ?? 0)), Math.round(durationMs)])
  .sort(([, a], [, b]) => a - b)

describe('a request', () => {
  it('is a span of the caller\'s, with its wait, prefill and decode below it', async () => {
    const { post, finish, log, collector } = await setUp()
    expect((await post('/v1/chat/completions', { ...hello, max_tokens: 9 }, { traceparent, tracestate: 'vendor=a,other=b' })).statusCode).toBe(200)
    const spans = await finish()
    const [root, ...more] = rootsOf(spans)
    expect(more).toEqual([])
    expect(root).toMatchObject({ traceId, parentSpanId: callerSpanId, traceState: 'vendor=a,other=b', name: 'POST /v1/chat/completions', durationMs: 70, status: 0 })
    expect(root?.attributes).toEqual({
      'http.request.method': 'POST',
      'http.route': '/v1/chat/completions',
      'http.response.status_code': 200,
      'drawbridge.request.id': expect.stringMatching(/^req_/),
      'drawbridge.outcome': 'ok',
      'drawbridge.tenant': '127.0.0.1',
      'drawbridge.stream': false,
      'gen_ai.provider.name': 'drawbridge',
      'gen_ai.operation.name': 'chat',
      'gen_ai.request.model': 'base',
      'gen_ai.request.max_tokens': 9,
      'gen_ai.response.model': 'base',
      'gen_ai.response.id': expect.stringMatching(/^chatcmpl-/),
      'gen_ai.response.finish_reasons': ['length'],
      'gen_ai.usage.input_tokens': 5,
      'gen_ai.usage.cache_read.input_tokens': 2,
      'gen_ai.usage.output_tokens': 3
    })
    expect(childrenOf(spans, root)).toEqual([['queue', 10, 10], ['prefill', 20, 10], ['decode', 30, 30]])
    expect(spans).toHaveLength(4)
    expect(root?.resource).toMatchObject({
      'service.name': 'drawbridge', 'service.version': '1.2.3', 'service.instance.id': expect.stringMatching(/^[\da-f-]{36}$/), 'telemetry.sdk.language': 'nodejs'
    })
    expect(collector.requests[0]).toMatchObject({ url: '/v1/traces', headers: { 'content-type': 'application/json' } })
    expect(log().find(({ msg }) => msg === 'request finished')).toMatchObject({ traceId })
  })

  it('of nobody\'s trace begins one', async () => {
    const { post, finish, log } = await setUp()
    await post('/v1/chat/completions', hello, { traceparent: '00-nonsense' })
    const [root] = rootsOf(await finish())
    expect(root).toMatchObject({ parentSpanId: null, traceId: expect.stringMatching(/^[\da-f]{32}$/) })
    expect(log().find(({ msg }) => msg === 'request finished')).toMatchObject({ traceId: root?.traceId })
  })

  it('is not recorded when its caller does not record, but keeps the trace\'s id', async () => {
    const { post, finish, log } = await setUp()
    await post('/v1/chat/completions', hello, { traceparent: traceparent.replace(/01$/, '00') })
    expect(await finish()).toEqual([])
    expect(log().find(({ msg }) => msg === 'request finished')).toMatchObject({ traceId })
  })

  it('is recorded as often as OTEL_TRACES_SAMPLER says', async () => {
    vi.stubEnv('OTEL_TRACES_SAMPLER', 'parentbased_always_off')
    const { post, finish } = await setUp()
    await post('/v1/chat/completions', hello)
    await post('/v1/chat/completions', hello, { traceparent })
    expect(rootsOf(await finish()).map((span) => span.traceId)).toEqual([traceId])
  })

  it('of a stream ends with its last byte; texts are in no span', async () => {
    const { post, finish, collector } = await setUp()
    const { body } = await post('/v1/chat/completions', { ...hello, stream: true, n: 2 })
    expect(body).toContain('marker-of-the-answer')
    await post('/v1/completions', { model: 'base', prompt: 'marker-of-the-prompt' })
    await post('/v1/messages', { ...hello, max_tokens: 9 })
    const spans = await finish()
    const [chat, completion, message] = rootsOf(spans)
    expect(chat?.attributes).toMatchObject({ 'drawbridge.stream': true, 'gen_ai.request.choice.count': 2 })
    expect(completion?.attributes).toMatchObject({ 'gen_ai.operation.name': 'text_completion', 'http.route': '/v1/completions' })
    expect(message?.attributes).toMatchObject({ 'gen_ai.operation.name': 'chat', 'http.route': '/v1/messages' })
    for (const root of [chat, completion, message]) expect(childrenOf(spans, root).map(([name]) => name)).toEqual(['queue', 'prefill', 'decode'])
    expect(collector.text()).not.toContain('marker')
  })

  it('names its adapters, and the model as it was asked for', async () => {
    const { post, finish, registry } = await setUp()
    await registry.load(loadRequest('pirate', '10'), neverAborted)
    await post('/v1/chat/completions', { ...hello, model: 'pirate' })
    expect(rootsOf(await finish())[0]?.attributes).toMatchObject({ 'gen_ai.request.model': 'pirate', 'gen_ai.response.model': 'base', 'drawbridge.adapters': ['pirate'] })
  })

  it('that is refused has no spans below it, and is no failure of the server', async () => {
    const { post, finish } = await setUp()
    await post('/v1/chat/completions', { ...hello, temperature: 5 })
    await post('/v1/marker-of-a-path', {})
    const spans = await finish()
    expect(spans.map(({ name, status, attributes }) => [name, status, attributes['error.type'], attributes['http.response.status_code'], attributes['http.route']])).toEqual([
      ['POST /v1/chat/completions', 0, 'invalid_value', 400, '/v1/chat/completions'],
      ['POST', 0, 'route_not_found', 404, undefined]
    ])
  })

  it('that fails in the middle has the spans up to there', async () => {
    const { post, finish } = await setUp(() => [...answerEvents(['a', 'b']).slice(0, 2), { type: 'throw', error: new ServerError('engine_crashed', 'marker') }])
    await post('/v1/chat/completions', hello)
    const spans = await finish()
    const [root] = rootsOf(spans)
    expect(root).toMatchObject({ status: 2, attributes: { 'error.type': 'engine_crashed', 'http.response.status_code': 500, 'drawbridge.outcome': 'error' } })
    expect(childrenOf(spans, root)).toEqual([['queue', 10, 10], ['prefill', 20, 10]])
  })

  it('whose client goes ends then', async () => {
    const { app, finish, inference } = await setUp(() => [...answerEvents(['a', 'b']).slice(0, 3), { type: 'wait', until: new Promise(() => {}) }])
    const { origin } = await listen(app)
    const leaving = new AbortController()
    const response = await fetch(`${origin}/v1/chat/completions`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...hello, stream: true }), signal: leaving.signal
    })
    const gone = inference.nextAbort()
    await response.body?.getReader().read()
    leaving.abort()
    await gone
    const spans = await finish()
    const [root] = rootsOf(spans)
    expect(root).toMatchObject({ status: 0, attributes: { 'error.type': 'request_aborted', 'http.response.status_code': 499, 'drawbridge.outcome': 'aborted' } })
    expect(childrenOf(spans, root).map(([name]) => name)).toEqual(['queue', 'prefill', 'decode'])
  })

  it('for a background response ends with the response', async () => {
    const end = { go: (): void => {} }
    const until = new Promise<void>((resolve) => { end.go = resolve })
    const events = answerEvents(['a', 'b'])
    const { app, post, finish } = await setUp(() => [...events.slice(0, 3), { type: 'wait', until }, ...events.slice(3)])
    const { id } = (await post('/v1/responses', { model: 'base', input: 'Hi', background: true }, { traceparent })).json<{ id: string }>()
    end.go()
    let status = ''
    while (status !== 'completed') ({ status } = (await app.inject(`/v1/responses/${id}`)).json<{ status: string }>())
    const spans = await finish()
    const root = rootsOf(spans).find(({ name }) => name === 'POST /v1/responses')
    expect(root).toMatchObject({ traceId, attributes: { 'gen_ai.response.id': id, 'gen_ai.usage.output_tokens': 2, 'drawbridge.outcome': 'ok' } })
    expect(childrenOf(spans, root).map(([name]) => name)).toEqual(['queue', 'prefill', 'decode'])
  })

  it('for vectors has one span below it beside the wait', async () => {
    const inference = new LocalInference(createFakeEngine({ embeddings: 'mean', canGenerate: false, contextSize: 64 }), { maxQueue: 8 })
    disposers.push(async () => await inference.close())
    const collector = await startOtlpCollector()
    disposers.push(async () => await collector[Symbol.asyncDispose]())
    const tracing = createOtlpTracing({ url: `${collector.origin}/v1/traces`, version: '1', logger: { info () {}, warn () {} } })
    const { app, log } = await buildTestApp([createTestHost(inference, { id: 'base' })], { tracing })
    await app.inject({ method: 'POST', url: '/v1/embeddings', payload: { model: 'base', input: ['marker', 'marker two'] } })
    await app.close()
    await tracing.close()
    const spans = collector.spans()
    const [root] = rootsOf(spans)
    expect(root?.attributes).toMatchObject({ 'gen_ai.operation.name': 'embeddings', 'gen_ai.request.model': 'base', 'drawbridge.inputs': 2 })
    expect(root?.attributes['gen_ai.usage.input_tokens']).toBeGreaterThan(0)
    expect(root?.attributes).not.toHaveProperty('gen_ai.usage.output_tokens')
    expect(childrenOf(spans, root).map(([name]) => name)).toEqual(['queue', 'embed'])
    expect(collector.text()).not.toContain('marker')
    const line = log().find(({ msg }) => msg === 'request finished')
    expect(line).toMatchObject({ operation: 'embeddings', model: 'base', inputs: 2, queuedMs: expect.any(Number), promptTokens: expect.any(Number), completionTokens: 0, traceId: root?.traceId })
    for (const field of ['ttftMs', 'finishReasons', 'cachedTokens', 'stream']) expect(line).not.toHaveProperty(field)
  })
})

describe('probes', () => {
  it('are in no trace', async () => {
    const { app, finish } = await setUp()
    for (const url of ['/health', '/ready', '/metrics']) expect((await app.inject({ url, headers: { traceparent } })).statusCode).toBe(200)
    expect(await finish()).toEqual([])
  })
})

describe('a collector that is away', () => {
  it('costs requests nothing, and is told once', async () => {
    const { post, app, collector, tracing, warnings } = await setUp()
    collector.status = 400
    for (let count = 0; count < 3; count++) expect((await post('/v1/chat/completions', hello)).statusCode).toBe(200)
    await app.close()
    await tracing.close()
    expect(warnings).toEqual([[{ reason: expect.any(String), spans: 12 }, 'traces cannot be sent and are lost']])
    expect(JSON.stringify(warnings)).not.toContain('marker')
  })

  it('is told again once it is back', async () => {
    vi.stubEnv('OTEL_BSP_SCHEDULE_DELAY', '1')
    const { post, collector, warnings, finish } = await setUp()
    collector.status = 400
    await post('/v1/chat/completions', hello)
    await vi.waitFor(() => expect(warnings).toHaveLength(1), patience)
    collector.status = 200
    await post('/v1/chat/completions', hello)
    expect(await finish()).toHaveLength(4)
    expect(warnings[1]).toEqual([{}, 'traces are sent again'])
  })

  it('does not hold up the end', async () => {
    const { post, app, collector, tracing, warnings } = await setUp(undefined, undefined, 20)
    collector.status = 0
    await post('/v1/chat/completions', hello)
    await app.close()
    await tracing.close()
    expect(warnings).toEqual([[{}, 'the last traces were not sent in time']])
  })
})

describe('the environment', () => {
  it('adds headers, and names the service', async () => {
    vi.stubEnv('OTEL_EXPORTER_OTLP_HEADERS', 'x-tenant=blue')
    vi.stubEnv('OTEL_SERVICE_NAME', 'chat')
    vi.stubEnv('OTEL_RESOURCE_ATTRIBUTES', 'deployment.environment.name=test')
    const { post, finish, collector } = await setUp()
    await post('/v1/chat/completions', hello)
    expect((await finish())[0]?.resource).toMatchObject({ 'service.name': 'chat', 'deployment.environment.name': 'test', 'service.version': '1.2.3' })
    expect(collector.requests[0]?.headers['x-tenant']).toBe('blue')
  })
})
