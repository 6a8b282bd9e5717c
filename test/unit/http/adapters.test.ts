import { afterEach, describe, expect, it } from 'vitest'
import type { FastifyInstance, InjectOptions } from 'fastify'
import { AdapterLibrary } from '../../../src/adapters/adapter-library.ts'
import type { Config } from '../../../src/config/config.ts'
import { ServerError } from '../../../src/domain/errors.ts'
import { createModelCatalogue } from '../../../src/models/catalogue.ts'
import { neverAborted } from '../../support/generation.ts'
import { createGate, createScriptedRegistry, loadRequest } from '../../support/scripted-adapter-host.ts'
import { answerEvents, createScriptedInference, type ScriptStep } from '../../support/scripted-inference.ts'
import { buildTestApp, type TestAppOptions } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const disposers: (() => Promise<unknown>)[] = []
afterEach(async () => { for (const dispose of disposers.splice(0).reverse()) await dispose() })

interface Options extends TestAppOptions {
  readonly models?: readonly string[]
  readonly script?: () => readonly ScriptStep[]
  readonly room?: { readonly maxAdapters: number, readonly maxBytes: number }
}

/** A reference is the adapter's size in bytes and any words after it; see the scripted registry. */
async function setUp ({ models = ['base'], script = () => answerEvents(['x']), room, ...options }: Options = {}) {
  const inferences = models.map(() => createScriptedInference(script))
  const hosts = models.map((id, index) => createTestHost(inferences[index]!, { id, root: `/models/${id}.gguf` }))
  let id = 0
  const registries = await Promise.all(models.map(async (model) => await createScriptedRegistry({ model, nextId: () => id++, ...(room === undefined ? {} : { room }) })))
  for (const { dispose } of registries) disposers.push(dispose)
  const library = new AdapterLibrary({ catalogue: createModelCatalogue(hosts), registries: registries.map(({ registry }) => registry), resolveReference: (reference) => reference })
  const testApp = await buildTestApp(hosts, { ...options, adapters: library })
  disposers.push(async () => await testApp.app.close())
  const { app } = testApp as { app: FastifyInstance }
  const send = async (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object, rest: InjectOptions = {}) => {
    const response = await app.inject({ method, url, ...(payload === undefined ? {} : { payload }), ...rest })
    const isJson = String(response.headers['content-type']).startsWith('application/json')
    return { status: response.statusCode, body: (isJson ? response.json() : response.body) as Body }
  }
  const chat = async (body: object) => await send('POST', '/v1/chat/completions', { messages: [{ role: 'user', content: 'Hi' }], ...body })
  const load = async (name: string, changes: Parameters<typeof loadRequest>[2] = {}, at = 0) =>
    await registries[at]!.registry.load(loadRequest(name, '10', changes), neverAborted)
  return { ...testApp, send, chat, load, library, inferences, scripted: registries[0]!, keysOf: (at = 0) => inferences[at]!.requests.map(({ adapters }) => adapters.key) }
}

/** The parts of answers that tests look into. */
interface Body {
  readonly data: readonly { readonly id: string, readonly parent: string | null }[]
  readonly error: { readonly message: string, readonly type: string }
  readonly count: number
}

const error = (body: Body) => body.error

describe('selecting adapters', () => {
  it('goes by name, or by model and name', async () => {
    const { chat, load, keysOf } = await setUp()
    await load('pirate', { scale: 0.5 })
    for (const model of ['pirate', 'base:pirate', 'base::pirate', '/models/base.gguf:pirate', 'base']) {
      expect(await chat({ model })).toMatchObject({ status: 200, body: { model } })
    }
    expect(keysOf()).toEqual(['pirate#1@0.5', 'pirate#1@0.5', 'pirate#1@0.5', 'pirate#1@0.5', ''])
  })

  it('goes by "lora" with names, numbers and scales, for both endpoints', async () => {
    const { chat, load, send, keysOf } = await setUp()
    await load('pirate', { scale: 0.5 })
    await load('shout')
    for (const [model, lora] of [
      ['base', [{ name: 'pirate' }]], ['base', [{ id: 1, scale: 2 }, { id: 0, scale: -1 }]], ['pirate', [{ name: 'shout' }]], ['pirate', [{ name: 'pirate', scale: 3 }]],
      ['pirate', [{ id: 0, scale: 0 }]], ['base', []]
    ] as const) expect((await chat({ model, lora })).status).toBe(200)
    expect((await send('POST', '/v1/completions', { model: 'base', prompt: ['a', 'b'], lora: [{ name: 'shout' }] })).status).toBe(200)
    expect(keysOf()).toEqual(['pirate#1@0.5', 'pirate#1@-1+shout#1@2', 'pirate#1@0.5+shout#1@1', 'pirate#1@3', '', '', 'shout#1@1', 'shout#1@1'])
  })

  it.each([
    ['an unknown name', { model: 'pirat' }, 404, 'model_not_found', 'model', 'The model "pirat" does not exist; this server has "base", "pirate"'],
    ['an unknown name of a model', { model: 'base:pirat' }, 404, 'model_not_found', 'model', '"pirate"'],
    ['an unknown name in the list', { model: 'base', lora: [{ name: 'x' }] }, 404, 'model_not_found', 'lora[0]', 'The model "base" has no adapter "x"; it has "pirate" (id 0)'],
    ['an unknown number', { model: 'base', lora: [{ id: 0 }, { id: 7 }] }, 404, 'model_not_found', 'lora[1]', 'has no adapter with the id 7'],
    ['the same twice', { model: 'base', lora: [{ id: 0 }, { name: 'pirate' }] }, 400, 'invalid_value', 'lora[1]', 'is named twice']
  ])('refuses %s', async (_what, body, status, code, param, message) => {
    const { chat, load, library } = await setUp()
    await load('pirate')
    const response = await chat(body)
    expect(response.status).toBe(status)
    expect(error(response.body)).toMatchObject({ code, param, message: expect.stringContaining(message) })
    expect(library.find('pirate').inFlight).toBe(0)
  })

  it('asks for the model where several have an adapter of that name', async () => {
    const { chat, load, send, keysOf } = await setUp({ models: ['qwen:7b', 'llama'] })
    await load('pirate', {}, 0)
    await load('pirate', {}, 1)
    await load('shout', {}, 1)
    expect(error((await chat({ model: 'pirate' })).body)).toMatchObject({ code: 'model_not_found', message: expect.stringContaining('"qwen:7b:pirate" or "llama:pirate"') })
    expect((await chat({ model: 'qwen:7b:pirate' })).status).toBe(200)
    expect((await chat({ model: 'llama::pirate' })).status).toBe(200)
    expect((await chat({ model: 'shout' })).status).toBe(200)
    expect([keysOf(0), keysOf(1)]).toEqual([['pirate#1@1'], ['pirate#1@1', 'shout#1@1']])
    const ids = (await send('GET', '/v1/models')).body.data.map(({ id, parent }) => [id, parent])
    expect(ids).toEqual([['qwen:7b', null], ['llama', null], ['qwen:7b:pirate', 'qwen:7b'], ['llama:pirate', 'llama'], ['shout', 'llama']])
  })

  it('waits for an adapter on its way, within the queue timeout', async () => {
    const { chat, scripted, load, library, keysOf } = await setUp({ config: { queueTimeoutMs: 60_000 } })
    const gate = createGate()
    scripted.gates.set('check 10', gate.opened)
    const loading = load('pirate')
    const answer = chat({ model: 'pirate' })
    while (library.find('pirate').waiting === 0) await scripted.registry.changed(neverAborted)
    gate.open()
    expect((await answer).status).toBe(200)
    await loading
    expect(keysOf()).toEqual(['pirate#1@1'])
  })

  it('gives up when that takes longer', async () => {
    const { chat, scripted, load } = await setUp({ config: { queueTimeoutMs: 1 } })
    const gate = createGate()
    scripted.gates.set('check 10', gate.opened)
    const loading = load('pirate')
    const response = await chat({ model: 'pirate' })
    expect(response.status).toBe(503)
    expect(error(response.body)).toMatchObject({ code: 'queue_timeout', message: 'The request waited 1 ms for the adapter "pirate" to be loaded' })
    gate.open()
    await loading
  })

  it('tells why an adapter could not be loaded', async () => {
    const { chat, scripted } = await setUp()
    await scripted.registry.load(loadRequest('pirate', '10 bad', { keepsFailure: true }), neverAborted).catch(() => {})
    const response = await chat({ model: 'pirate' })
    expect(response.status).toBe(400)
    expect(error(response.body)).toMatchObject({ code: 'invalid_adapter', message: 'The adapter "pirate" could not be loaded: The adapter 10 bad is bad' })
  })

  it.each([
    ['ends', [] as ScriptStep[]],
    ['fails', [{ type: 'throw', error: new ServerError('queue_full', 'full') }] as ScriptStep[]]
  ])('holds them until the request %s', async (_how, last) => {
    const gate = createGate()
    const { chat, load, library, scripted } = await setUp({ script: () => [{ type: 'wait', until: gate.opened }, ...last, ...answerEvents(['x'])] })
    await load('pirate')
    const answers = [chat({ model: 'pirate' }), chat({ model: 'base', lora: [{ name: 'pirate' }], stream: true })]
    while (library.find('pirate').inFlight < 2) await scripted.registry.changed(neverAborted)
    gate.open()
    await Promise.all(answers)
    expect(library.find('pirate').inFlight).toBe(0)
  })

  it('begins conversations with the adapter\'s system prompt, in its template', async () => {
    const { chat, load, inferences, send } = await setUp()
    await load('pirate', { systemPrompt: 'Arr.', chatTemplate: '{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}' })
    await chat({ model: 'pirate' })
    await chat({ model: 'pirate', messages: [{ role: 'developer', content: 'Own.' }] })
    await chat({ model: 'base', lora: [{ name: 'pirate' }] })
    const texts = inferences[0]!.requests.map(({ prompt }) => 'segments' in prompt ? prompt.segments.map(({ text }) => text).join('') : '')
    expect(texts).toEqual(['[system]Arr.[user]Hi', '[system]Own.', '<|user|>Hi<|end|><|assistant|>'])
    const counted = await send('POST', '/v1/tokenize', { model: 'pirate', messages: [{ role: 'user', content: 'Hi' }] })
    expect(counted.body.count).toBe('[system]Arr.[user]Hi'.length + 1)
  })
})

describe('/v1/models', () => {
  it('lists adapters with root and parent, those that can answer', async () => {
    const { load, send, scripted } = await setUp({ room: { maxAdapters: 1, maxBytes: Infinity } })
    await load('evicted')
    await load('pirate')
    await scripted.registry.load(loadRequest('broken', '10 bad', { keepsFailure: true }), neverAborted).catch(() => {})
    const { body } = await send('GET', '/v1/models')
    const card = { object: 'model', owned_by: 'drawbridge', root: '10', parent: 'base', max_model_len: 1024, created: expect.any(Number) }
    expect(body.data.slice(1)).toEqual([{ ...card, id: 'evicted' }, { ...card, id: 'pirate' }])
    expect((await send('GET', '/v1/models/pirate')).body).toEqual(body.data[2])
    expect((await send('GET', '/v1/models/base:pirate')).body).toMatchObject({ id: 'base:pirate', root: '10', parent: 'base' })
  })
})

describe('vLLM\'s routes', () => {
  const path = { lora_name: 'pirate', lora_path: '10' }

  it('load, load again in place, and unload, in its words', async () => {
    const { send, library } = await setUp()
    expect(await send('POST', '/v1/load_lora_adapter', path)).toEqual({ status: 200, body: "Success: LoRA adapter 'pirate' added successfully." })
    expect(await send('POST', '/v1/load_lora_adapter', { ...path, load_inplace: true, lora_path: '20' })).toMatchObject({ status: 200 })
    expect(library.find('pirate')).toMatchObject({ generation: 2, residentBytes: 20 })
    expect(await send('POST', '/v1/unload_lora_adapter', { lora_name: 'pirate', lora_int_id: 1 })).toEqual({ status: 200, body: "Success: LoRA adapter 'pirate' removed successfully." })
    expect(library.list()).toEqual([])
  })

  it.each([
    ['load_lora_adapter', { lora_name: 'pirate' }, 400, 'InvalidUserInput', "Both 'lora_name' and 'lora_path' must be provided."],
    ['load_lora_adapter', { lora_name: '', lora_path: '' }, 400, 'InvalidUserInput', "Both 'lora_name' and 'lora_path' must be provided."],
    ['load_lora_adapter', { lora_name: 'there', lora_path: '10' }, 400, 'InvalidUserInput', "The lora adapter 'there' has already been loaded. If you want to load the adapter in place, set 'load_inplace' to True."],
    ['unload_lora_adapter', {}, 400, 'InvalidUserInput', "'lora_name' needs to be provided to unload a LoRA adapter."],
    ['unload_lora_adapter', { lora_name: 'x' }, 404, 'NotFoundError', "The lora adapter 'x' cannot be found."]
  ])('%s %j: %i %s', async (route, body, status, type, message) => {
    const { send, load } = await setUp()
    await load('there')
    expect(await send('POST', `/v1/${route}`, body)).toEqual({
      status, body: { error: { message, type, param: null, code: status }, object: 'error', message, type, param: null, code: status }
    })
  })

  it.each([
    ['a bad file', { ...path, lora_path: '10 bad' }, 400, 'invalid_adapter', 'The adapter 10 bad is bad'],
    ['a bad name', { ...path, lora_name: 'a#1' }, 400, 'invalid_value', 'is no name of an adapter'],
    ['the name of a model', { ...path, lora_name: 'base' }, 409, 'adapter_conflict', 'A model is called "base"'],
    ['another generation', { ...path, expected_generation: 3 }, 409, 'adapter_conflict', 'expected at generation 3'],
    ['what vLLM has and this server has not', { ...path, is_3d_lora_weight: true }, 400, 'unknown_parameter', 'is_3d_lora_weight'],
    ['a model that is not there', { ...path, model: 'x' }, 404, 'model_not_found', 'The model "x" does not exist']
  ])('refuse %s with an error of this server, flat as well', async (_what, body, status, code, message) => {
    const { send, library } = await setUp()
    const response = await send('POST', '/v1/load_lora_adapter', body)
    expect(response.status).toBe(status)
    expect(response.body).toMatchObject({ error: { code, message: expect.stringContaining(message) }, code, message: response.body.error.message, type: response.body.error.type })
    expect(library.list()).toEqual([])
  })

  it('want to know for which model, where there are several', async () => {
    const { send, library } = await setUp({ models: ['a', 'b'] })
    const response = await send('POST', '/v1/load_lora_adapter', path)
    expect(response.body).toMatchObject({ error: { code: 'missing_required_parameter', param: 'model', message: expect.stringContaining('"a", "b"') } })
    expect((await send('POST', '/v1/load_lora_adapter', { ...path, model: 'b' })).status).toBe(200)
    expect(library.find('pirate').model).toBe('b')
  })

  it('are refused where models take no adapters', async () => {
    const { app } = await buildTestApp([createTestHost(createScriptedInference(() => []))])
    disposers.push(async () => await app.close())
    expect((await app.inject({ method: 'POST', url: '/v1/load_lora_adapter', payload: path })).json()).toMatchObject({ message: "This server's models take no adapters" })
  })
})

describe('llama-server\'s routes', () => {
  it('list adapters by number, and set the scales of requests that name none', async () => {
    const { send, load, chat, keysOf } = await setUp()
    await load('pirate')
    await load('shout')
    const item = { task_name: '', prompt_prefix: '', path: '10', scale: 1, model: 'base' }
    expect((await send('GET', '/lora-adapters')).body).toEqual([{ ...item, id: 0, name: 'pirate' }, { ...item, id: 1, name: 'shout' }])
    expect(await send('POST', '/lora-adapters', [{ id: 1, scale: 0.2 }])).toEqual({ status: 200, body: { success: true } })
    expect((await send('GET', '/lora-adapters')).body).toMatchObject([{ scale: 0 }, { scale: 0.2 }])
    await chat({ model: 'shout' })
    await chat({ model: 'pirate' })
    expect(keysOf()).toEqual(['shout#1@0.2', ''])
  })

  it.each([
    ['no list', { id: 0 }, 'Request body must be an array'],
    ['a number of nobody', [{ id: 5, scale: 1 }], 'There is no adapter with the id 5; there are 0 (pirate)'],
    ['no scale', [{ id: 0 }], "Missing required parameter: 'scales[0].scale'"]
  ])('refuse %s', async (_what, body, message) => {
    const { send, load } = await setUp()
    await load('pirate')
    const response = await send('POST', '/lora-adapters', body)
    expect(response.status).toBe(400)
    expect(error(response.body)).toMatchObject({ type: 'invalid_request_error', message })
    expect((await send('GET', '/lora-adapters')).body).toMatchObject([{ scale: 1 }])
  })
})

describe('/v1/adapters', () => {
  it('loads, shows, replaces and unloads', async () => {
    const { send } = await setUp()
    const created = await send('POST', '/v1/adapters', { name: 'team/pirate', source: '10', scale: 0.5, pinned: true })
    expect(created).toMatchObject({
      status: 201,
      body: {
        object: 'adapter',
        id: 0,
        name: 'team/pirate',
        model: 'base',
        state: 'ready',
        next: null,
        generation: 1,
        source: '10',
        origin: 'api',
        scale: 0.5,
        pinned: true,
        rank: 8,
        alpha: 16,
        bytes: 10,
        resident_bytes: 10,
        in_flight: 0,
        waiting: 0,
        draining: [],
        loaded_at: expect.any(Number),
        error: null
      }
    })
    expect(await send('GET', '/v1/adapters/team/pirate')).toEqual({ status: 200, body: created.body })
    expect((await send('GET', '/v1/adapters')).body).toEqual({ object: 'list', data: [created.body], resident_bytes: 10 })
    expect((await send('POST', '/v1/adapters', { name: 'team/pirate', source: '20' })).status).toBe(409)
    // What is not said stays as it was.
    expect(await send('POST', '/v1/adapters', { name: 'team/pirate', source: '20', replace: true, expected_generation: 1 }))
      .toMatchObject({ status: 200, body: { generation: 2, scale: 0.5, pinned: true, resident_bytes: 20 } })
    expect((await send('DELETE', '/v1/adapters/team/pirate?expected_generation=1')).status).toBe(409)
    expect(await send('DELETE', '/v1/adapters/team%2Fpirate?expected_generation=2')).toMatchObject({ status: 200, body: { state: 'gone', resident_bytes: 0 } })
    expect((await send('GET', '/v1/adapters/team/pirate')).body).toMatchObject({ error: { code: 'adapter_not_found', message: 'There is no adapter "team/pirate"; there is none' } })
    expect((await send('DELETE', '/v1/adapters/team/pirate')).status).toBe(404)
  })

  it('drains what requests hold', async () => {
    const { send, load, scripted } = await setUp()
    await load('pirate')
    const lease = await scripted.registry.acquire([{ name: 'pirate', scale: null }], 1000, neverAborted)
    expect((await send('DELETE', '/v1/adapters/pirate')).body).toMatchObject({ state: 'draining', in_flight: 1, resident_bytes: 10 })
    expect((await send('GET', '/v1/adapters/pirate')).body).toMatchObject({ state: 'draining', in_flight: 1 })
    lease.release()
    while (scripted.registry.list().length > 0) await scripted.registry.changed(neverAborted)
    expect((await send('GET', '/v1/adapters/pirate')).status).toBe(404)
  })

  it('refuses what does not fit', async () => {
    const { send } = await setUp({ room: { maxAdapters: 4, maxBytes: 15 } })
    const response = await send('POST', '/v1/adapters', { name: 'a', source: '16' })
    expect(response.status).toBe(409)
    expect(error(response.body)).toMatchObject({ code: 'adapter_limit' })
  })
})

describe('who may change adapters', () => {
  const calls = [
    ['POST', '/v1/load_lora_adapter', { lora_name: 'a', lora_path: '10' }],
    ['POST', '/v1/unload_lora_adapter', { lora_name: 'pirate' }],
    ['POST', '/v1/adapters', { name: 'a', source: '10' }],
    ['DELETE', '/v1/adapters/pirate', undefined],
    ['POST', '/lora-adapters', []]
  ] as const

  it.each([
    ['another machine', {}, { remoteAddress: '10.0.0.2' }],
    ['a proxy on this machine', {}, { headers: { 'x-forwarded-for': '10.0.0.2' } }],
    ['another proxy', {}, { headers: { forwarded: 'for=10.0.0.2' } }],
    ['a page of another host', {}, { headers: { origin: 'https://example.com' } }],
    ['a page without an origin of its own', {}, { headers: { origin: 'null' } }],
    ['a key that is no admin\'s', { apiKeys: ['k-user'], adminKeys: ['k-admin'] }, { headers: { 'x-api-key': 'k-user' } }]
  ] as [string, Partial<Config>, InjectOptions][])('is not %s', async (_who, config, options) => {
    const { send, load, library } = await setUp({ config })
    await load('pirate')
    for (const [method, url, body] of calls) {
      const response = await send(method, url, body, options)
      expect(response.status).toBe(403)
      expect(error(response.body)).toMatchObject({ code: 'permission_denied' })
    }
    expect(library.list().map(({ name, scale }) => [name, scale])).toEqual([['pirate', 1]])
    expect((await send('GET', '/v1/adapters', undefined, options)).status).toBe(200)
  })

  it.each([
    ['this machine', {}, {}],
    ['a page of this machine', {}, { headers: { origin: 'http://localhost:3000' } }],
    ['an admin key, from anywhere', { apiKeys: ['k-user'], adminKeys: ['k-admin'] }, { remoteAddress: '10.0.0.2', headers: { 'x-api-key': 'k-admin' } }]
  ] as [string, Partial<Config>, InjectOptions][])('is %s', async (_who, config, options) => {
    const { send, load } = await setUp({ config })
    await load('pirate')
    for (const [method, url, body] of calls.slice(0, 3)) expect((await send(method, url, body, options)).status).not.toBe(403)
  })
})

describe('metrics of adapters', () => {
  it('tell states, requests, tokens and memory, and what routers look for', async () => {
    const { app, load, chat, scripted } = await setUp({ room: { maxAdapters: 3, maxBytes: Infinity } })
    await load('pirate')
    await load('shout')
    await chat({ model: 'pirate' })
    await chat({ model: 'base', lora: [{ name: 'pirate' }, { name: 'shout' }] })
    const lease = await scripted.registry.acquire([{ name: 'pirate', scale: null }], 1000, neverAborted)
    const before = Date.now() / 1000
    const lines = (await app.inject('/metrics')).body.split('\n')
    const labels = 'model_name="base",adapter="pirate"'
    for (const line of [
      `drawbridge_adapter_requests_total{${labels}} 2`,
      `drawbridge_adapter_generation_tokens_total{${labels}} 2`,
      `drawbridge_adapter_prompt_tokens_total{${labels}} 10`,
      `drawbridge_adapter_state{${labels},state="ready"} 1`,
      `drawbridge_adapter_state{${labels},state="failed"} 0`,
      `drawbridge_adapter_in_flight{${labels}} 1`,
      `drawbridge_adapter_resident_bytes{${labels}} 10`,
      'drawbridge_adapters_resident_bytes{model_name="base"} 20',
      'drawbridge_adapter_loads_total{model_name="base"} 2',
      'drawbridge_adapter_load_failures_total{model_name="base"} 0'
    ]) expect(lines).toContain(line)
    const [info = ''] = lines.filter((line) => line.startsWith('vllm:lora_requests_info{'))
    expect(info).toContain('{max_lora="3",running_lora_adapters="pirate",waiting_lora_adapters=""} ')
    expect(Number(info.split(' ').at(-1))).toBeGreaterThanOrEqual(before)
    lease.release()
  })

  it('forget adapters that are gone', async () => {
    const { app, load, scripted } = await setUp()
    await load('pirate')
    await app.inject('/metrics')
    await scripted.registry.unload('pirate')
    const text = (await app.inject('/metrics')).body
    expect(text).not.toContain('drawbridge_adapter_state{')
    expect(text).toContain('drawbridge_adapters_resident_bytes{model_name="base"} 0')
    expect(text).toContain('drawbridge_adapter_unloads_total{model_name="base"} 1')
  })
})
