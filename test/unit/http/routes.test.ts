import { connect } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { ServerError } from '../../../src/domain/errors.ts'
import { answerEvents, createScriptedInference, type ScriptedInferenceOptions } from '../../support/scripted-inference.ts'
import { buildTestApp, listen, type TestAppOptions } from '../../support/test-app.ts'
import { createTestHost, type TestHost } from '../../support/test-host.ts'

const apps: FastifyInstance[] = []
afterEach(async () => { for (const app of apps.splice(0)) await app.close() })

const createHost = (options: Parameters<typeof createTestHost>[1] = {}, inference: ScriptedInferenceOptions = {}): TestHost =>
  createTestHost(createScriptedInference(() => answerEvents(['x']), inference), options)

async function setUp (hosts: readonly TestHost[] = [createHost()], options: TestAppOptions = {}) {
  const testApp = await buildTestApp(hosts, options)
  apps.push(testApp.app)
  const get = async (url: string, headers: Record<string, string> = {}) => await testApp.app.inject({ method: 'GET', url, headers })
  const post = async (url: string, payload: object) => await testApp.app.inject({ method: 'POST', url, payload })
  return { ...testApp, get, post }
}

const hello = { messages: [{ role: 'user', content: 'Hi' }] }

describe('/v1/models', () => {
  it('lists models with OpenAI\'s and vLLM\'s members', async () => {
    const { get } = await setUp([createHost({ id: 'a' }), createHost({ id: 'b', isLoaded: false })])
    const card = { object: 'model', created: 1_700_000_000, owned_by: 'drawbridge', root: 'test-root', parent: null }
    expect((await get('/v1/models')).json()).toEqual({
      object: 'list',
      data: [{ id: 'a', ...card, max_model_len: 1024 }, { id: 'b', ...card, max_model_len: null }]
    })
  })

  it.each([
    ['plain', 'tiny', '/v1/models/tiny'],
    ['with slashes', 'meta/llama/3', '/v1/models/meta/llama/3'],
    ['with slashes, encoded', 'meta/llama/3', '/v1/models/meta%2Fllama%2F3'],
    ['with colons', 'qwen:7b', '/v1/models/qwen:7b'],
    ['with colons, encoded', 'qwen:7b', '/v1/models/qwen%3A7b'],
    ['with spaces and percent signs', 'my model 50%', '/v1/models/my%20model%2050%25'],
    ['very long', 'm'.repeat(250), `/v1/models/${'m'.repeat(250)}`]
  ])('finds ids %s', async (_name, id, url) => {
    const { get } = await setUp([createHost({ id })])
    expect((await get(url)).json()).toMatchObject({ id, object: 'model' })
  })

  it('finds names that are not listed', async () => {
    const { get } = await setUp([createHost({ id: 'a', root: 'demo' })])
    expect((await get('/v1/models/demo')).json()).toMatchObject({ id: 'demo', root: 'demo', parent: 'a' })
  })

  it('says so when there is none of that name', async () => {
    const { get } = await setUp()
    const response = await get('/v1/models/gpt-4')
    expect(response.statusCode).toBe(404)
    expect(response.json()).toEqual({ error: { code: 'model_not_found', param: 'model', type: 'not_found_error', message: expect.stringContaining('"gpt-4"') } })
  })
})

describe('a request\'s model', () => {
  it('must exist, even if there is only one', async () => {
    const { post } = await setUp()
    const response = await post('/v1/chat/completions', { model: 'gpt-4', ...hello })
    expect(response.statusCode).toBe(404)
    expect(response.json()).toMatchObject({ error: { code: 'model_not_found', param: 'model' } })
  })

  it('is reported as the client wrote it', async () => {
    const { post } = await setUp([createHost({ id: 'a', root: 'demo' })])
    expect((await post('/v1/chat/completions', { model: 'demo', ...hello })).json()).toMatchObject({ model: 'demo' })
  })

  it.each([
    ['loading', null, 503, 'model_loading'],
    ['failed', new Error('no such file'), 503, 'engine_unavailable'],
    ['draining', null, 503, 'server_draining']
  ] as const)('cannot answer before it was ever ready: %s', async (state, failure, status, code) => {
    const host = createHost({ isLoaded: false })
    host.state = state
    host.failure = failure
    const { post } = await setUp([host])
    const response = await post('/v1/chat/completions', { model: 'test-model', ...hello })
    expect(response.statusCode).toBe(status)
    expect(response.json()).toMatchObject({ error: { code, type: 'service_unavailable_error' } })
    expect(Number(response.headers['retry-after-ms'])).toBeGreaterThan(0)
    expect(response.headers['retry-after']).toMatch(/^\d+$/)
  })
})

describe('tokenize', () => {
  it.each(['/v1/tokenize', '/tokenize'])('%s answers llama-server\'s form', async (url) => {
    const { post } = await setUp()
    expect((await post(url, { content: 'ab' })).json()).toEqual({ tokens: [97, 98] })
    expect((await post(url, { content: 'ab', add_special: true })).json()).toEqual({ tokens: [1, 97, 98] })
    expect((await post(url, { content: 'aba', with_pieces: true })).json())
      .toEqual({ tokens: [{ id: 97, piece: 'a' }, { id: 98, piece: 'b' }, { id: 97, piece: 'a' }] })
  })

  it('answers vLLM\'s form', async () => {
    const { post } = await setUp()
    expect((await post('/tokenize', { model: 'test-model', prompt: 'ab' })).json())
      .toEqual({ count: 3, max_model_len: 1024, tokens: [1, 97, 98], token_strs: null })
    expect((await post('/tokenize', { model: 'test-model', prompt: 'ab', add_special_tokens: false, return_token_strs: true })).json())
      .toEqual({ count: 2, max_model_len: 1024, tokens: [97, 98], token_strs: ['a', 'b'] })
  })

  it('answers vLLM\'s form for conversations', async () => {
    const { post } = await setUp()
    const expected = '<|user|>Hi<|end|><|assistant|>'
    expect((await post('/v1/tokenize', { model: 'test-model', ...hello })).json()).toMatchObject({ count: expected.length + 1 })
    expect((await post('/v1/tokenize', { model: 'test-model', ...hello, add_generation_prompt: false })).json())
      .toMatchObject({ count: '<|user|>Hi<|end|>'.length + 1 })
    const continued = { messages: [...hello.messages, { role: 'assistant', content: 'He' }], continue_final_message: true }
    expect((await post('/v1/tokenize', { model: 'test-model', ...continued })).json())
      .toMatchObject({ count: '<|user|>Hi<|end|><|assistant|>He'.length + 1 })
    expect((await post('/v1/tokenize', { model: 'test-model', ...continued, add_generation_prompt: true })).json())
      .toMatchObject({ error: { code: 'invalid_value', param: 'add_generation_prompt' } })
  })

  it('needs a model only when there are several', async () => {
    const { post } = await setUp([createHost({ id: 'a' }), createHost({ id: 'b' })])
    expect((await post('/tokenize', { content: 'ab' })).json()).toMatchObject({ error: { code: 'missing_required_parameter', param: 'model' } })
    expect((await post('/tokenize', { content: 'ab', model: 'b' })).json()).toEqual({ tokens: [97, 98] })
  })

  it('says what is missing or wrong', async () => {
    const { post } = await setUp()
    expect((await post('/tokenize', {})).json()).toMatchObject({ error: { code: 'missing_required_parameter' } })
    expect((await post('/tokenize', { content: 5 })).json()).toMatchObject({ error: { code: 'invalid_value', param: 'content' } })
    expect((await post('/tokenize', { messages: [{ role: 'tool', content: 'x' }] })).json()).toMatchObject({ error: { param: 'messages[0].tool_call_id' } })
    expect((await post('/tokenize', { messages: 5 })).json()).toMatchObject({ error: { code: 'invalid_value', param: 'messages' } })
  })
})

describe('detokenize', () => {
  it.each(['/v1/detokenize', '/detokenize'])('%s answers both forms', async (url) => {
    const { post } = await setUp()
    expect((await post(url, { tokens: [97, 98] })).json()).toEqual({ content: 'ab', prompt: 'ab' })
    expect((await post(url, { model: 'test-model', tokens: [] })).json()).toEqual({ content: '', prompt: '' })
  })

  it('refuses tokens beyond the vocabulary', async () => {
    const { post } = await setUp()
    expect((await post('/detokenize', { tokens: [97, 256] })).json()).toMatchObject({ error: { code: 'invalid_value', param: 'tokens[1]' } })
  })
})

describe('/health and /ready', () => {
  it('health knows nothing of models', async () => {
    const host = createHost()
    host.state = 'failed'
    const { get } = await setUp([host])
    expect((await get('/health')).json()).toEqual({ status: 'ok' })
    expect((await get('/health')).statusCode).toBe(200)
  })

  it.each([
    [['ready'], 200, 'ready'],
    [['ready', 'ready'], 200, 'ready'],
    [['ready', 'failed'], 200, 'ready'],
    [['loading'], 503, 'loading'],
    [['ready', 'loading'], 503, 'loading'],
    [['restarting'], 503, 'restarting'],
    [['ready', 'draining'], 503, 'draining'],
    [['failed'], 503, 'failed'],
    [['failed', 'loading'], 503, 'loading'],
    [['closed'], 503, 'closed']
  ] as const)('ready of %s is %i', async (states, code, status) => {
    const hosts = states.map((state, index) => Object.assign(createHost({ id: `model-${index}` }), { state }))
    const { get } = await setUp(hosts)
    const response = await get('/ready')
    expect(response.statusCode).toBe(code)
    expect(response.json()).toMatchObject({ status, models: states.map((state, index) => ({ id: `model-${index}`, state, reason: null, restarts: 0 })) })
    expect(response.headers['retry-after']).toBe(code === 503 ? '1' : undefined)
  })

  it('ready gives the reason', async () => {
    const host = createHost()
    Object.assign(host, { state: 'restarting', failure: new ServerError('engine_crashed', 'The engine was killed'), restarts: 3 })
    const { get } = await setUp([host])
    expect((await get('/ready')).json()).toMatchObject({ models: [{ reason: 'The engine was killed', restarts: 3 }] })
  })
})

describe('what is not there', () => {
  it.each([
    ['POST', '/chat/completions', 'did you mean /v1/chat/completions'],
    ['POST', '/v1/v1/chat/completions', 'did you mean /v1/chat/completions'],
    ['GET', '/models', 'did you mean /v1/models'],
    ['POST', '/v1/images/generations', 'the API is under /v1'],
    ['GET', '/nothing?key=secret', 'There is no GET /nothing;']
  ] as const)('%s %s says where to look', async (method, url, message) => {
    const { app } = await setUp()
    const response = await app.inject({ method, url })
    expect(response.statusCode).toBe(404)
    expect(response.json()).toEqual({ error: { code: 'route_not_found', param: null, type: 'not_found_error', message: expect.stringContaining(message) } })
    expect(response.headers['x-request-id']).toMatch(/^req_/)
  })

  it.each([
    ['GET', '/v1/chat/completions', 'POST'],
    ['DELETE', '/v1/models', 'GET, HEAD'],
    ['PUT', '/v1/models/some/model', 'GET, HEAD'],
    ['POST', '/health', 'GET, HEAD'],
    ['OPTIONS', '/v1/chat/completions', 'POST']
  ] as const)('%s %s names the methods there are', async (method, url, allow) => {
    const { app } = await setUp()
    const response = await app.inject({ method, url, headers: { 'content-type': 'text/plain' }, ...(method === 'GET' ? {} : { payload: 'not json' }) })
    expect(response.statusCode).toBe(405)
    expect(response.json()).toMatchObject({ error: { code: 'method_not_allowed' } })
    expect(response.headers['allow']).toBe(allow)
  })

  it('the root tells newcomers where the API is', async () => {
    const { get } = await setUp()
    for (const url of ['/', '/v1', '/v1/']) {
      expect((await get(url)).json()).toMatchObject({ name: 'drawbridge', models: ['test-model'] })
    }
  })

  it('a slash at the end of a path does not matter', async () => {
    const { get } = await setUp()
    expect((await get('/v1/models/')).json()).toEqual((await get('/v1/models')).json())
  })

  it('a page that asks before a request learns which option lets it in', async () => {
    const { app } = await setUp()
    const response = await app.inject({ method: 'OPTIONS', url: '/v1/chat/completions', headers: { origin: 'https://a.example', 'access-control-request-method': 'POST' } })
    expect(response.json<{ error: { message: string } }>().error.message).toContain('--cors-origin')
  })

  it('a path that cannot be decoded is refused in the usual shape', async () => {
    const { get } = await setUp()
    const response = await get('/v1/models/%zz')
    expect(response.statusCode).toBe(400)
    expect(response.json()).toMatchObject({ error: { code: 'invalid_value', type: 'invalid_request_error' } })
  })
})

describe('x-request-id', () => {
  it('is the client\'s when that is harmless', async () => {
    const { get } = await setUp()
    expect((await get('/health', { 'x-request-id': 'trace-1.2:3_4' })).headers['x-request-id']).toBe('trace-1.2:3_4')
  })

  it.each(['', 'a b', 'x'.repeat(129), 'a"b'])('is a new one when the client\'s is not: %s', async (id) => {
    const { get } = await setUp()
    expect((await get('/health', { 'x-request-id': id })).headers['x-request-id']).toMatch(/^req_[0-9a-f]{32}$/)
  })
})

describe('cross-origin requests', () => {
  const preflight = { 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization,content-type' }

  it('are answered only for configured origins', async () => {
    const { app, get } = await setUp(undefined, { config: { corsOrigins: ['https://chat.example'], apiKeys: ['key'] } })
    const allowed = await app.inject({ method: 'OPTIONS', url: '/v1/chat/completions', headers: { ...preflight, origin: 'https://chat.example' } })
    expect(allowed.statusCode).toBe(204)
    expect(allowed.headers).toMatchObject({ 'access-control-allow-origin': 'https://chat.example', 'access-control-allow-headers': 'authorization,content-type' })
    expect((await get('/v1/models', { origin: 'https://chat.example', authorization: 'Bearer key' })).headers)
      .toMatchObject({ 'access-control-allow-origin': 'https://chat.example', 'access-control-expose-headers': expect.stringContaining('x-request-id') })
    expect((await get('/v1/models', { origin: 'https://evil.example', authorization: 'Bearer key' })).headers['access-control-allow-origin']).toBeUndefined()
  })

  it('reach errors and streams too', async () => {
    const { app, get } = await setUp(undefined, { config: { corsOrigins: ['*'] } })
    expect((await get('/nothing', { origin: 'https://a.example' })).headers['access-control-allow-origin']).toBe('*')
    const stream = await app.inject({
      method: 'POST', url: '/v1/chat/completions', payload: { model: 'test-model', ...hello, stream: true }, headers: { origin: 'https://a.example' }
    })
    expect(stream.headers).toMatchObject({ 'access-control-allow-origin': '*', 'content-type': 'text/event-stream; charset=utf-8' })
  })

  it('have no headers unless configured', async () => {
    const { get } = await setUp()
    expect((await get('/health', { origin: 'https://a.example' })).headers['access-control-allow-origin']).toBeUndefined()
  })
})

describe('what is not even HTTP', () => {
  it.each([
    ['garbage', 'hello\r\n\r\n', 400, 'This is not a valid HTTP request'],
    ['oversized headers', `GET /health HTTP/1.1\r\nhost: x\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, 400, 'The request headers are too large']
  ])('%s has an answer in the usual shape', async (_name, bytes, status, message) => {
    const { app } = await setUp()
    const { port } = await listen(app)
    const socket = connect(port, '127.0.0.1')
    socket.write(bytes)
    const answer = await readText(socket)
    const [head = '', body = ''] = answer.split('\r\n\r\n')
    expect(head).toContain(`HTTP/1.1 ${status} `)
    expect(head).toMatch(/x-request-id: req_[0-9a-f]{32}/)
    expect(JSON.parse(body)).toEqual({ error: { message, type: 'invalid_request_error', param: null, code: 'invalid_value' } })
  })

  it('is not written into an answer that has begun', async () => {
    let finish = (): void => {}
    const pause = new Promise<void>((resolve) => { finish = resolve })
    const inference = createScriptedInference(() => [...answerEvents(['x']).slice(0, 3), { type: 'wait', until: pause }])
    const { app } = await setUp([createTestHost(inference)])
    const { port } = await listen(app)
    const socket = connect(port, '127.0.0.1')
    const body = JSON.stringify({ model: 'test-model', ...hello, stream: true })
    socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
    let answer = ''
    socket.on('error', () => {})
    for await (const part of socket.setEncoding('utf8') as AsyncIterable<string>) {
      // Once: what reaches a closed connection is answered by a reset, which may overtake its end.
      const hadBegun = answer.includes('data:')
      answer += part
      if (!hadBegun && answer.includes('data:')) socket.write('garbage\r\n\r\n')
    }
    finish()
    expect(answer.match(/HTTP\/1\.1/g)).toEqual(['HTTP/1.1'])
    expect(inference.aborted).toHaveLength(1)
  })

  it('ends what an earlier request of the connection set going', async () => {
    const inference = createScriptedInference(() => [{ type: 'accepted', promptTokens: 1 }, { type: 'wait', until: new Promise(() => {}) }])
    const { app } = await setUp([createTestHost(inference)])
    const { port } = await listen(app)
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    const body = JSON.stringify({ model: 'test-model', ...hello })
    const given = inference.nextAbort()
    socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
    while (inference.requests.length === 0) await new Promise((resolve) => { setImmediate(resolve) })
    socket.write('garbage\r\n\r\n')
    expect(await readText(socket)).toMatch(/^HTTP\/1\.1 400 /)
    await given
    socket.destroy()
  })
})
