import { afterEach, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import type { OpenAI } from 'openai'
import type { Config } from '../../../../src/config/config.ts'
import { ServerError } from '../../../../src/domain/errors.ts'
import { answerEvents, createScriptedInference, type ScriptStep } from '../../../support/scripted-inference.ts'
import { readSse } from '../../../support/sse.ts'
import { buildTestApp, listen } from '../../../support/test-app.ts'
import { createTestHost } from '../../../support/test-host.ts'

type Body = OpenAI.Responses.Response
type Event = OpenAI.Responses.ResponseStreamEvent
interface List { data: { id: string, type: string, content?: { text: string }[] }[], first_id: string | null, last_id: string | null, has_more: boolean }

const apps: FastifyInstance[] = []
afterEach(async () => { for (const app of apps.splice(0)) await app.close() })

async function setUp (script: readonly ScriptStep[] = answerEvents(['An', 'swer']), config: Partial<Config> = {}) {
  let time = 0
  const inference = createScriptedInference(() => script)
  const { app, log, live } = await buildTestApp([createTestHost(inference)], { randomSeed: () => 1, config, now: () => time })
  apps.push(app)
  const send = async (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object, key?: string) => await app.inject({
    method, url: `/v1${path}`, ...(body === undefined ? {} : { payload: body }), ...(key === undefined ? {} : { headers: { authorization: `Bearer ${key}` } })
  })
  return {
    app,
    inference,
    log,
    live,
    pass: (ms: number) => { time += ms },
    send,
    get: async <Value>(path: string) => (await send('GET', path)).json<Value>(),
    create: async (body: object = {}, key?: string) => (await send('POST', '/responses', { model: 'test-model', input: 'Hi', ...body }, key)).json<Body>(),
    prompt: () => {
      const { prompt } = inference.requests.at(-1)!
      return 'segments' in prompt ? prompt.segments.map(({ text }) => text).join('') : ''
    }
  }
}

const turn = (role: string, text: string): string => `<|${role}|>${text}<|end|>`
const errorOf = (response: { json: () => unknown, statusCode: number }) => {
  const { error: { code, param } } = response.json() as { error: { code: string, param: string | null } }
  return { status: response.statusCode, code, param }
}

describe('a stored response', () => {
  it('is found as it was given, until it is deleted', async () => {
    const { create, get, send } = await setUp()
    const body = await create()
    expect(await get(`/responses/${body.id}`)).toEqual(body)
    expect((await send('DELETE', `/responses/${body.id}`)).json()).toEqual({ id: body.id, object: 'response', deleted: true })
    expect(errorOf(await send('GET', `/responses/${body.id}`))).toEqual({ status: 404, code: 'response_not_found', param: 'id' })
    expect(errorOf(await send('DELETE', `/responses/${body.id}`))).toEqual({ status: 404, code: 'response_not_found', param: 'id' })
  })

  it('is there when its stream says that it is complete', async () => {
    const { get, send } = await setUp()
    const events = readSse((await send('POST', '/responses', { model: 'test-model', input: 'Hi', stream: true })).body.replaceAll(/^event: .*\n/gm, '')) as Event[]
    const last = events.at(-1) as OpenAI.Responses.ResponseCompletedEvent
    expect(last.type).toBe('response.completed')
    expect(await get(`/responses/${last.response.id}`)).toEqual(last.response)
  })

  it('is not kept where the request says so, or the server keeps none', async () => {
    const { create, send } = await setUp()
    const { id } = await create({ store: false })
    expect((await send('GET', `/responses/${id}`)).statusCode).toBe(404)
    const off = await setUp(undefined, { responseStore: 'off' })
    const body = await off.create()
    expect(body).toMatchObject({ store: false })
    expect((await off.send('GET', `/responses/${body.id}`)).statusCode).toBe(404)
    expect(errorOf(await off.send('POST', '/responses', { model: 'test-model', input: 'x', store: true }))).toEqual({ status: 400, code: 'unsupported_parameter', param: 'store' })
    expect(errorOf(await off.send('POST', '/responses', { model: 'test-model', input: 'x', background: true }))).toEqual({ status: 400, code: 'unsupported_parameter', param: 'background' })
    expect((await off.send('POST', '/conversations', {})).statusCode).toBe(404)
  })

  it('belongs to whoever made it', async () => {
    const { create, send } = await setUp(undefined, { apiKeys: ['ann', 'bob'] })
    const { id, output: [item] } = await create({}, 'ann')
    const conversation = (await send('POST', '/conversations', {}, 'ann')).json<{ id: string }>().id
    const paths = [['GET', `/responses/${id}`], ['DELETE', `/responses/${id}`], ['POST', `/responses/${id}/cancel`], ['GET', `/responses/${id}/input_items`],
      ['GET', `/conversations/${conversation}`], ['POST', `/conversations/${conversation}`], ['GET', `/conversations/${conversation}/items`], ['DELETE', `/conversations/${conversation}`]] as const
    for (const [method, path] of paths) expect((await send(method, path, method === 'POST' ? {} : undefined, 'bob')).statusCode, `${method} ${path}`).toBe(404)
    const body = { model: 'test-model', input: 'x' }
    expect(errorOf(await send('POST', '/responses', { ...body, previous_response_id: id }, 'bob'))).toMatchObject({ code: 'previous_response_not_found' })
    expect(errorOf(await send('POST', '/responses', { ...body, conversation }, 'bob'))).toMatchObject({ code: 'conversation_not_found' })
    expect(errorOf(await send('POST', '/responses', { ...body, input: [{ type: 'item_reference', id: item!.id }] }, 'bob'))).toMatchObject({ code: 'item_not_found' })
    expect((await send('GET', `/responses/${id}`, undefined, 'ann')).statusCode).toBe(200)
  })

  it('is gone after its time', async () => {
    const { create, send, pass } = await setUp(undefined, { responseTtlMs: 5000 })
    const { id } = await create()
    pass(4999)
    expect((await send('GET', `/responses/${id}`)).statusCode).toBe(200)
    pass(5000)
    expect((await send('GET', `/responses/${id}`)).statusCode).toBe(404)
  })

  it('is kept as the settings say that there are now', async () => {
    const { create, pass, send, live } = await setUp(undefined, { responseTtlMs: 60_000 })
    const { id } = await create()
    live.responseTtlMs = 10_000
    pass(10_000)
    expect((await send('GET', `/responses/${id}`)).statusCode).toBe(404)
    live.maxResponses = 1
    const [first, second] = [await create(), await create()]
    expect((await send('GET', `/responses/${first.id}`)).statusCode).toBe(404)
    expect((await send('GET', `/responses/${second.id}`)).statusCode).toBe(200)
    live.responseStore = 'off'
    expect(errorOf(await send('GET', `/responses/${(await create()).id}`))).toMatchObject({ code: 'response_not_found' })
  })

  it('lists the items of its request page by page', async () => {
    const { create, get, send } = await setUp()
    const { id } = await create({ input: ['a', 'b', 'c', 'd'].map((content) => ({ role: 'user', content })), instructions: 'x' })
    const path = `/responses/${id}/input_items`
    const all = await get<List>(path)
    expect(all).toMatchObject({ object: 'list', has_more: false, first_id: all.data[0]?.id, last_id: all.data[3]?.id })
    expect(all.data.map(({ content }) => content?.[0]?.text)).toEqual(['d', 'c', 'b', 'a'])
    expect(all.data[0]).toEqual({ id: expect.stringMatching(/^msg_/), type: 'message', status: 'completed', role: 'user', content: [{ type: 'input_text', text: 'd' }] })
    const first = await get<List>(`${path}?order=asc&limit=3&include[]=message.output_text.logprobs`)
    expect(first.data.map(({ content }) => content?.[0]?.text)).toEqual(['a', 'b', 'c'])
    expect(first.has_more).toBe(true)
    expect(await get<List>(`${path}?order=asc&after=${first.last_id}`)).toMatchObject({ data: [all.data[0]], has_more: false })
    expect(errorOf(await send('GET', `${path}?after=msg_x`))).toEqual({ status: 404, code: 'item_not_found', param: 'after' })
    expect(errorOf(await send('GET', `${path}?limit=101`))).toEqual({ status: 400, code: 'invalid_value', param: 'limit' })
    expect(errorOf(await send('GET', `${path}?order=up`))).toEqual({ status: 400, code: 'invalid_value', param: 'order' })
  })

  it('cannot be cancelled, compacted or streamed again unless it was made for that', async () => {
    const { create, send } = await setUp()
    const { id } = await create()
    expect(errorOf(await send('POST', `/responses/${id}/cancel`))).toEqual({ status: 400, code: 'invalid_value', param: 'id' })
    expect(errorOf(await send('GET', `/responses/${id}?stream=true`))).toEqual({ status: 400, code: 'invalid_value', param: 'stream' })
    expect(errorOf(await send('GET', `/responses/${id}?starting_after=3`))).toEqual({ status: 400, code: 'invalid_value', param: 'starting_after' })
    expect((await send('POST', '/responses/compact', { model: 'test-model' })).statusCode).toBe(404)
  })

  it('counts the tokens of what it would read', async () => {
    const { create, inference, send } = await setUp()
    const { id } = await create()
    const counted = await send('POST', '/responses/input_tokens', { input: 'More', previous_response_id: id, instructions: 'Be brief.' })
    const text = turn('system', 'Be brief.') + turn('user', 'Hi') + turn('assistant', 'Answer') + turn('user', 'More') + '<|assistant|>'
    // A scripted model's tokens are bytes, behind a BOS.
    expect(counted.json()).toEqual({ object: 'response.input_tokens', input_tokens: text.length + 1 })
    expect(inference.requests).toHaveLength(1)
    expect(errorOf(await send('POST', '/responses/input_tokens', { input: 3 }))).toMatchObject({ status: 400, param: 'input' })
    expect(errorOf(await send('POST', '/responses/input_tokens', { model: 'other', input: 'x' }))).toMatchObject({ status: 404, param: 'model' })
  })
})

describe('a response that goes on from another', () => {
  it('reads all that came before, but not the instructions', async () => {
    const { create, prompt } = await setUp()
    const first = await create({ instructions: 'Be brief.' })
    const second = await create({ input: 'And?', previous_response_id: first.id })
    expect(second.previous_response_id).toBe(first.id)
    expect(prompt()).toBe(turn('user', 'Hi') + turn('assistant', 'Answer') + turn('user', 'And?') + '<|assistant|>')
    await create({ input: 'So?', previous_response_id: second.id, store: false })
    expect(prompt()).toBe(turn('user', 'Hi') + turn('assistant', 'Answer') + turn('user', 'And?') + turn('assistant', 'Answer') + turn('user', 'So?') + '<|assistant|>')
  })

  it('says so when something of that is gone', async () => {
    const { create, send } = await setUp()
    const first = await create()
    const second = await create({ previous_response_id: first.id })
    await send('DELETE', `/responses/${first.id}`)
    const answer = await send('POST', '/responses', { model: 'test-model', input: 'x', previous_response_id: second.id })
    expect(errorOf(answer)).toEqual({ status: 400, code: 'previous_response_not_found', param: 'previous_response_id' })
    expect(answer.json<{ error: { message: string } }>().error.message).toContain(first.id)
  })

  it('may name items that are stored', async () => {
    const { create, prompt } = await setUp()
    const { output: [item] } = await create()
    await create({ input: [{ role: 'user', content: 'Hi' }, { type: 'item_reference', id: item!.id }, { role: 'user', content: 'Bye' }] })
    expect(prompt()).toBe(turn('user', 'Hi') + turn('assistant', 'Answer') + turn('user', 'Bye') + '<|assistant|>')
  })
})

describe('what a response refers to and goes on from', () => {
  it('counts as if the request sent it', async () => {
    const { create, inference, send } = await setUp(undefined, { bodyLimit: 1250 })
    const large = await create({ input: [{ id: 'msg_large', role: 'user', content: 'x'.repeat(500) }] })
    const references = (count: number) => ({ model: 'test-model', input: Array(count).fill({ type: 'item_reference', id: 'msg_large' }) })
    expect((await send('POST', '/responses', references(2))).statusCode).toBe(200)
    const runs = inference.requests.length
    for (const path of ['/responses', '/responses/input_tokens']) {
      expect(errorOf(await send('POST', path, references(3)))).toEqual({ status: 400, code: 'context_length_exceeded', param: 'input' })
      expect(errorOf(await send('POST', path, { ...references(2), previous_response_id: large.id }))).toEqual({ status: 400, code: 'context_length_exceeded', param: 'input' })
    }
    expect(inference.requests.length).toBe(runs)
  })
})

describe('a conversation', () => {
  it('collects what is asked and answered in it', async () => {
    const { create, get, prompt, send } = await setUp()
    const made = (await send('POST', '/conversations', { metadata: { a: 'b' }, items: [{ role: 'system', content: 'Rules' }] })).json<{ id: string }>()
    expect(made).toEqual({ id: expect.stringMatching(/^conv_/), object: 'conversation', created_at: expect.any(Number), metadata: { a: 'b' } })
    const response = await create({ conversation: made.id })
    expect(response.conversation).toEqual({ id: made.id })
    await create({ input: 'And?', conversation: { id: made.id } })
    expect(prompt()).toBe(turn('system', 'Rules') + turn('user', 'Hi') + turn('assistant', 'Answer') + turn('user', 'And?') + '<|assistant|>')
    const { data } = await get<List>(`/conversations/${made.id}/items?order=asc`)
    expect(data.map(({ content }) => content?.[0]?.text)).toEqual(['Rules', 'Hi', 'Answer', 'And?', 'Answer'])
    expect(data[2]?.id).toBe(response.output[0]?.id)
    // From a response in it one goes on as it was then.
    await create({ input: 'Instead?', previous_response_id: response.id })
    expect(prompt()).toBe(turn('system', 'Rules') + turn('user', 'Hi') + turn('assistant', 'Answer') + turn('user', 'Instead?') + '<|assistant|>')
  })

  it('is changed and deleted, and so are its items', async () => {
    const { get, send } = await setUp()
    const { id } = (await send('POST', '/conversations')).json<{ id: string }>()
    expect((await send('POST', `/conversations/${id}`, { metadata: { x: 'y' } })).json()).toMatchObject({ id, metadata: { x: 'y' } })
    const added = (await send('POST', `/conversations/${id}/items`, { items: [{ role: 'user', content: 'One' }, { role: 'assistant', content: 'Two' }] })).json<List>()
    expect(added.data).toMatchObject([{ role: 'user', content: [{ type: 'input_text', text: 'One' }] }, { role: 'assistant', content: [{ type: 'output_text', text: 'Two' }] }])
    expect(await get(`/conversations/${id}/items/${added.first_id}`)).toEqual(added.data[0])
    expect((await send('DELETE', `/conversations/${id}/items/${added.first_id}`)).json()).toMatchObject({ id, object: 'conversation' })
    expect((await get<List>(`/conversations/${id}/items`)).data).toEqual([added.data[1]])
    for (const method of ['GET', 'DELETE'] as const) expect(errorOf(await send(method, `/conversations/${id}/items/${added.first_id}`))).toEqual({ status: 404, code: 'item_not_found', param: 'item' })
    expect((await send('DELETE', `/conversations/${id}`)).json()).toEqual({ id, object: 'conversation.deleted', deleted: true })
    expect(errorOf(await send('GET', `/conversations/${id}`))).toEqual({ status: 404, code: 'conversation_not_found', param: 'id' })
  })

  it('gives every item an id of its own, whatever clients call theirs', async () => {
    const { create, get, send } = await setUp()
    const { id } = (await send('POST', '/conversations')).json<{ id: string }>()
    // Side by side: neither sees what the other adds.
    await Promise.all(['One', 'Two'].map(async (content) => await create({ conversation: id, input: [{ id: 'msg_mine', role: 'user', content }] })))
    const { data } = await get<List>(`/conversations/${id}/items?order=asc`)
    expect(data.map(({ content }) => content?.[0]?.text)).toEqual(['One', 'Answer', 'Two', 'Answer'])
    expect(data[0]?.id).toBe('msg_mine')
    expect(new Set(data.map((item) => item.id)).size).toBe(4)
  })

  it('stays as it is when it would become larger than what a request may send', async () => {
    const { get, send } = await setUp(undefined, { bodyLimit: 5000 })
    const first = { id: 'msg_large', role: 'user', content: 'x'.repeat(2000) }
    const { id } = (await send('POST', '/conversations', { items: [first] })).json<{ id: string }>()
    const references = (count: number) => ({ items: Array(count).fill({ type: 'item_reference', id: 'msg_large' }) })
    expect(errorOf(await send('POST', `/conversations/${id}/items`, references(2)))).toEqual({ status: 400, code: 'context_length_exceeded', param: 'items' })
    expect(errorOf(await send('POST', '/conversations', references(3)))).toEqual({ status: 400, code: 'context_length_exceeded', param: 'items' })
    expect((await get<List>(`/conversations/${id}/items`)).data).toHaveLength(1)
    expect((await send('POST', `/conversations/${id}/items`, references(1))).statusCode).toBe(200)
  })

  it('stays as it is when it would become larger than what is kept, but goes rather than miss a turn', async () => {
    const { create, get, send } = await setUp(undefined, { responseStore: 1000 })
    const { id } = (await send('POST', '/conversations', { items: [{ role: 'user', content: 'x'.repeat(600) }] })).json<{ id: string }>()
    expect(errorOf(await send('POST', `/conversations/${id}/items`, { items: [{ role: 'user', content: 'y'.repeat(300) }] }))).toEqual({ status: 400, code: 'invalid_value', param: 'items' })
    expect((await get<List>(`/conversations/${id}/items`)).data).toHaveLength(1)
    expect((await create({ conversation: id, store: false, input: 'z'.repeat(300) })).status).toBe('completed')
    expect(errorOf(await send('GET', `/conversations/${id}`))).toMatchObject({ status: 404, code: 'conversation_not_found' })
  })

  it('refuses what a response would refuse', async () => {
    const { send } = await setUp()
    const { id } = (await send('POST', '/conversations', {})).json<{ id: string }>()
    const image = { role: 'user', content: [{ type: 'input_image' }] }
    expect(errorOf(await send('POST', '/conversations', { items: [image] }))).toEqual({ status: 400, code: 'unsupported_value', param: 'items[0].content[0]' })
    expect(errorOf(await send('POST', `/conversations/${id}/items`, { items: [image] }))).toEqual({ status: 400, code: 'unsupported_value', param: 'items[0].content[0]' })
    expect(errorOf(await send('POST', `/conversations/${id}/items`, {}))).toEqual({ status: 400, code: 'missing_required_parameter', param: 'items' })
    expect(errorOf(await send('POST', `/conversations/${id}/items`, { items: Array(21).fill({ role: 'user', content: 'x' }) }))).toEqual({ status: 400, code: 'invalid_value', param: 'items' })
    expect(errorOf(await send('POST', `/conversations/${id}`, { metadata: 3 }))).toEqual({ status: 400, code: 'invalid_value', param: 'metadata' })
  })
})

describe('a background response', () => {
  /** A response that waits for `go` after its first text. */
  async function setUpWaiting () {
    let go = (): void => {}
    const promise = new Promise<void>((resolve) => { go = resolve })
    const events = answerEvents(['An', 'swer'])
    const base = await setUp([...events.slice(0, 3), { type: 'wait', until: promise }, ...events.slice(3)])
    const untilStatus = async (id: string, status: string): Promise<Body> => {
      for (;;) {
        const body = await base.get<Body>(`/responses/${id}`)
        if (body.status === status) return body
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    return { ...base, go, untilStatus }
  }

  it('goes on without its client, and is told of once', async () => {
    const { create, go, untilStatus, log } = await setUpWaiting()
    const queued = await create({ background: true })
    expect(queued).toMatchObject({ background: true, store: true, usage: null })
    expect(['queued', 'in_progress']).toContain(queued.status)
    const running = await untilStatus(queued.id, 'in_progress')
    expect(running.id).toBe(queued.id)
    const lines = () => log().filter(({ route }) => route === '/v1/responses')
    expect(lines()).toEqual([])
    go()
    const done = await untilStatus(queued.id, 'completed')
    expect(done).toMatchObject({ output: [{ status: 'completed', content: [{ text: 'Answer' }] }], usage: { output_tokens: 2 } })
    await new Promise((resolve) => setImmediate(resolve))
    expect(lines()).toHaveLength(1)
    expect(lines()[0]).toMatchObject({ status: 200, outcome: 'ok', completionTokens: 2 })
  })

  it('is cancelled, once or twice', async () => {
    const { create, send, get, inference, log } = await setUpWaiting()
    const { id } = await create({ background: true })
    const cancelled = (await send('POST', `/responses/${id}/cancel`)).json<Body>()
    expect(cancelled).toMatchObject({ id, status: 'cancelled' })
    expect(inference.aborted).toEqual([id])
    expect((await send('POST', `/responses/${id}/cancel`)).json()).toEqual(cancelled)
    expect(await get(`/responses/${id}`)).toEqual(cancelled)
    await new Promise((resolve) => setImmediate(resolve))
    expect(log().filter(({ route }) => route === '/v1/responses')).toMatchObject([{ outcome: 'aborted' }])
  })

  it('is deleted while it runs', async () => {
    const { create, send, inference } = await setUpWaiting()
    const { id } = await create({ background: true })
    expect((await send('DELETE', `/responses/${id}`)).json()).toMatchObject({ deleted: true })
    expect(inference.aborted).toEqual([id])
    expect((await send('GET', `/responses/${id}`)).statusCode).toBe(404)
  })

  it('has its error in it when it fails, and its true status when it could not begin', async () => {
    const events = answerEvents(['An', 'swer'])
    const failing = await setUp([...events.slice(0, 3), { type: 'throw', error: new ServerError('engine_crashed', 'The engine has died') }])
    const { id } = await failing.create({ background: true })
    let body = await failing.get<Body>(`/responses/${id}`)
    while (body.status !== 'failed') body = await failing.get<Body>(`/responses/${id}`)
    expect(body).toMatchObject({ error: { code: 'server_error', message: 'The engine has died' }, usage: null })
    const full = await setUp([{ type: 'throw', error: new ServerError('queue_full', 'Full') }])
    const refused = await full.send('POST', '/responses', { model: 'test-model', input: 'x', background: true })
    expect(errorOf(refused)).toMatchObject({ status: 429, code: 'queue_full' })
    await new Promise((resolve) => setImmediate(resolve))
    expect(full.log().filter(({ route }) => route === '/v1/responses')).toMatchObject([{ status: 429, outcome: 'error' }])
  })

  it('is streamed, left, and streamed again from where the client was', async () => {
    const { app, go, untilStatus, get } = await setUpWaiting()
    const { origin } = await listen(app)
    const leaving = new AbortController()
    const response = await fetch(`${origin}/v1/responses`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'test-model', input: 'Hi', background: true, stream: true }), signal: leaving.signal
    })
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let seen = ''
    while (!seen.includes('output_text.delta')) seen += (await reader.read()).value
    leaving.abort()
    await reader.read().catch(() => {})
    const { id } = (JSON.parse(/^data: (.*)$/m.exec(seen)![1]!) as OpenAI.Responses.ResponseCreatedEvent).response
    const rest = fetch(`${origin}/v1/responses/${id}?stream=true&starting_after=3`)
    go()
    const body = await untilStatus(id, 'completed')
    const readNumbers = (text: string) => text.split('\n').filter((line) => line.startsWith('data: ')).map((line) => JSON.parse(line.slice(6)) as Event)
    const [running, stored] = [readNumbers(await (await rest).text()), readNumbers(await (await fetch(`${origin}/v1/responses/${id}?stream=true&starting_after=3`)).text())]
    expect(running.map((event) => event.sequence_number)).toEqual(running.map((_, index) => index + 4))
    expect(running.at(-1)).toMatchObject({ type: 'response.completed', response: body })
    expect(stored).toEqual(running)
    const all = readNumbers(await (await fetch(`${origin}/v1/responses/${id}?stream=true`)).text())
    expect(all.slice(0, 4).map(({ type }) => type)).toEqual(['response.created', 'response.queued', 'response.in_progress', 'response.output_item.added'])
    expect(all.slice(4)).toEqual(running)
    expect(await get(`/responses/${id}`)).toEqual(body)
  })

  it('ends with its client as long as it is not queued', async () => {
    const { app, inference } = await setUp([{ type: 'wait', until: new Promise(() => {}) }])
    const { origin } = await listen(app)
    const leaving = new AbortController()
    const aborted = inference.nextAbort()
    const asking = fetch(`${origin}/v1/responses`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'test-model', input: 'Hi', background: true }), signal: leaving.signal
    })
    while (inference.requests.length === 0) await new Promise((resolve) => setImmediate(resolve))
    leaving.abort()
    await expect(asking).rejects.toThrow()
    await aborted
    expect(inference.aborted).toHaveLength(1)
  })

  it('is streamed again however long it is', async () => {
    const { app, create } = await setUp(answerEvents(Array.from({ length: 3000 }, (_, index) => `${index} `.padEnd(1000, '.'))))
    const { origin } = await listen(app)
    const { body } = await fetch(`${origin}/v1/responses`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'test-model', input: 'Hi', background: true, stream: true })
    })
    let text = ''
    for await (const piece of body!.pipeThrough(new TextDecoderStream())) text += piece
    const id = /"id":"(resp_\w+)"/.exec(text)![1]!
    const again = await (await fetch(`${origin}/v1/responses/${id}?stream=true`)).text()
    expect(again === text).toBe(true)
    expect(text.match(/^event: response\.output_text\.delta$/gm)).toHaveLength(3000)
    expect(text.trimEnd().split('\n\n').at(-1)).toMatch(/^event: response\.completed\n/)
    expect((await create()).status).toBe('completed')
  })

  it('ends its stream with an error when it is cancelled', async () => {
    const { app, send } = await setUpWaiting()
    const { origin } = await listen(app)
    const response = await fetch(`${origin}/v1/responses`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'test-model', input: 'Hi', background: true, stream: true })
    })
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
    let seen = ''
    while (!seen.includes('output_text.delta')) seen += (await reader.read()).value
    const id = /"id":"(resp_\w+)"/.exec(seen)![1]!
    await send('POST', `/responses/${id}/cancel`)
    for (;;) {
      const { done, value } = await reader.read()
      if (done) break
      seen += value
    }
    expect(seen.trimEnd().split('\n\n').at(-1)).toMatch(/^event: error\n/)
  })
})
