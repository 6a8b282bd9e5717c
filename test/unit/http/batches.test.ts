import { mkdtempSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { newKeySchema } from '../../../src/access/keys/api-key.ts'
import { KeyStore } from '../../../src/access/keys/key-store.ts'
import { migrate } from '../../../src/access/storage/migrate.ts'
import { SqliteDatabase } from '../../../src/access/storage/sqlite-database.ts'
import { ServerError } from '../../../src/domain/errors.ts'
import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import { Lifecycle } from '../../../src/http/lifecycle.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import { BatchClient, chatLines, toForm } from '../../support/batch-client.ts'
import { createGate } from '../../support/scripted-adapter-host.ts'
import { answerEvents, createScriptedInference, type ScriptedInference, type ScriptStep } from '../../support/scripted-inference.ts'
import { waitUntil } from '../../support/server-process.ts'
import { buildTestApp, listen, type TestApp, type TestAppOptions } from '../../support/test-app.ts'
import { createTestHost, type TestHost } from '../../support/test-host.ts'

const silent = { warn: () => {} }
let folder: string
const closers: (() => Promise<unknown>)[] = []
beforeEach(() => { folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-batches-')) })
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  rmSync(folder, { recursive: true })
})

async function openDatabase (): Promise<SqliteDatabase> {
  const database = new SqliteDatabase(path.join(folder, 'drawbridge.db'), silent)
  await migrate(database)
  closers.push(async () => await database.close())
  return database
}

interface Server extends TestApp {
  readonly inference: ScriptedInference
  readonly host: TestHost
  readonly database: SqliteDatabase
  readonly client: (key?: string) => BatchClient
  readonly close: () => Promise<void>
}

/** A server over the database of the test, whose model does what the script says for the last word of a prompt. */
async function start (script: (word: string) => readonly ScriptStep[] = (word) => answerEvents([word]), options: TestAppOptions = {}): Promise<Server> {
  const database = await openDatabase()
  const inference = createScriptedInference(({ prompt }) => script(
    'segments' in prompt ? /<\|user\|>(\S+?)<\|end\|>/.exec(prompt.segments.map(({ text }) => text).join(''))?.[1] ?? '' : ''
  ))
  const host = createTestHost(inference, { id: 'writer' })
  const test = await buildTestApp([host], { database, ...options })
  const close = async (): Promise<void> => { await test.app.close() }
  closers.push(close)
  return { ...test, inference, host, database, close, client: (key) => new BatchClient(test.app, key) }
}

const textsOf = (lines: Awaited<ReturnType<BatchClient['lines']>>) => Object.fromEntries(lines.map(({ custom_id: id, response }) => [id, response?.body.choices?.[0]?.message.content ?? response?.status_code ?? null]))
const never = new Promise<never>(() => {})

describe('a batch', () => {
  it('has an answer for each line, in their order, and tells what it was', async () => {
    const { client, log } = await start()
    const anna = client()
    const id = await anna.create(chatLines('writer', ['one', 'two', 'three']), { metadata: { night: 'run' } })
    const batch = await anna.untilEnded(id)
    expect(batch).toMatchObject({
      object: 'batch',
      endpoint: '/v1/chat/completions',
      model: 'writer',
      errors: null,
      completion_window: '24h',
      status: 'completed',
      error_file_id: null,
      request_counts: { total: 3, completed: 3, failed: 0 },
      metadata: { night: 'run' },
      failed_at: null,
      expired_at: null,
      cancelling_at: null,
      cancelled_at: null,
      usage: { input_tokens: 15, input_tokens_details: { cached_tokens: 6 }, output_tokens: 3, output_tokens_details: { reasoning_tokens: 0 }, total_tokens: 18 }
    })
    const times = [batch.created_at, batch.in_progress_at, batch.finalizing_at, batch.completed_at] as number[]
    expect([...times].sort((a, b) => a - b)).toEqual(times)
    expect(batch.expires_at).toBe(times[0]! + 86_400)
    const lines = await anna.lines(batch.output_file_id)
    expect(lines.map(({ custom_id: customId }) => customId)).toEqual(['line-0', 'line-1', 'line-2'])
    expect(textsOf(lines)).toEqual({ 'line-0': 'one', 'line-1': 'two', 'line-2': 'three' })
    expect(lines.every(({ error, response }) => error === null && response?.status_code === 200)).toBe(true)
    expect(new Set(lines.map(({ id: lineId }) => lineId)).size).toBe(3)
    expect((await anna.ask('GET', `/v1/files/${batch.output_file_id}`)).body).toMatchObject({ purpose: 'batch_output', filename: `${id}_output.jsonl` })
    const told = log().filter(({ route, requestId }) => route === '/v1/chat/completions' && String(requestId).startsWith('batch_req_'))
    expect(told.map(({ requestId }) => requestId).sort()).toEqual(lines.map(({ response }) => response?.request_id).sort())
  })

  it('has errors of lines in a file of their own, as the route told them', async () => {
    const { client } = await start((word) => word === 'breaks' ? [{ type: 'throw', error: new ServerError('engine_error', 'The engine broke') }] : answerEvents([word]))
    const anna = client()
    const bad = JSON.stringify({ custom_id: 'bad', method: 'POST', url: '/v1/chat/completions', body: { model: 'writer', messages: 'none' } })
    const missing = JSON.stringify({ custom_id: 'missing', method: 'POST', url: '/v1/chat/completions', body: { model: 'nobody', messages: [{ role: 'user', content: 'Hi' }] } })
    const batch = await anna.untilEnded(await anna.create(`${chatLines('writer', ['good', 'breaks'])}\n${bad}\r\n${missing}`))
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 4, completed: 1, failed: 3 } })
    expect(textsOf(await anna.lines(batch.output_file_id))).toEqual({ 'line-0': 'good' })
    const errors = await anna.lines(batch.error_file_id)
    expect(errors.map(({ custom_id: id, response }) => [id, response?.status_code, response?.body.error?.code])).toEqual([
      ['line-1', 500, 'engine_error'], ['bad', 400, 'invalid_value'], ['missing', 404, 'model_not_found']
    ])
  })

  it('whose input is wrong fails, with the lines that are', async () => {
    const { client, inference, database } = await start()
    const anna = client()
    const batch = await anna.untilEnded(await anna.create(`${chatLines('writer', ['one'])}nothing\n${chatLines('writer', ['again'])}`))
    expect(batch).toMatchObject({ status: 'failed', output_file_id: null, error_file_id: null, in_progress_at: null, request_counts: { total: 0, completed: 0, failed: 0 } })
    expect(batch.failed_at).not.toBeNull()
    expect(batch.errors).toMatchObject({ object: 'list', data: [{ code: 'invalid_json_line', line: 2 }, { code: 'duplicate_custom_id', line: 3, param: 'custom_id' }] })
    expect(inference.requests).toHaveLength(0)
    await waitUntil(async () => (await database.query('SELECT * FROM drawbridge_batch_lines')).length === 0)
  })

  it.each([
    ['input_file_id', { input_file_id: undefined }, 400], ['input_file_id', { input_file_id: 'file-0' }, 404], ['endpoint', { endpoint: '/v1/moderations' }, 400],
    ['completion_window', { completion_window: '1h' }, 400], ['metadata', { metadata: { a: 1 } }, 400], ['output_expires_after.seconds', { output_expires_after: { anchor: 'created_at', seconds: 1 } }, 400],
    ['unknown', { unknown: 1 }, 400]
  ])('is not made with a wrong %s', async (param, change, status) => {
    const { client } = await start()
    const anna = client()
    const { body: { id } } = await anna.upload(chatLines('writer', ['one']))
    const answer = await anna.ask<{ error: { param: string } }>('POST', '/v1/batches', { input_file_id: id, endpoint: '/v1/chat/completions', completion_window: '24h', ...change })
    expect(answer).toMatchObject({ status })
    expect(answer.body.error.param.startsWith(param)).toBe(true)
  })

  it('runs no more lines at once than there are slots and two that wait', async () => {
    const gate = createGate()
    const { client, inference } = await start((word) => [{ type: 'wait', until: gate.opened }, ...answerEvents([word])])
    const anna = client()
    const id = await anna.create(chatLines('writer', Array.from({ length: 30 }, (_, index) => `w${index}`)))
    await waitUntil(() => inference.requests.length >= 6)
    // The server had every occasion to begin more.
    await anna.ask('GET', '/v1/batches')
    await waitUntil(async () => (await anna.get(id)).status === 'in_progress')
    expect(inference.requests).toHaveLength(6)
    expect(inference.requests.every(({ priority }) => priority === 'batch')).toBe(true)
    gate.open()
    expect((await anna.untilEnded(id)).request_counts).toEqual({ total: 30, completed: 30, failed: 0 })
    expect(inference.requests).toHaveLength(30)
  })

  it('asks again when the server is busy, and never writes that', async () => {
    let refusals = 3
    const { client, app } = await start((word) => refusals-- > 0 ? [{ type: 'throw', error: new ServerError('queue_full', 'Full', { retryAfterMs: 1 }) }] : answerEvents([word]))
    const anna = client()
    const batch = await anna.untilEnded(await anna.create(chatLines('writer', ['one', 'two', 'three'])))
    expect(batch).toMatchObject({ status: 'completed', error_file_id: null, request_counts: { completed: 3 } })
    const metrics = (await app.inject('/metrics')).body
    expect(metrics).toContain('drawbridge_batch_lines_total{outcome="retried"} 3')
    expect(metrics).toContain('drawbridge_batch_lines_total{outcome="completed"} 3')
    await waitUntil(async () => (await app.inject('/metrics')).body.includes('drawbridge_batches_ended_total{status="completed"} 1'))
  })

  it('waits for a model that is not ready', async () => {
    const { client, host, inference } = await start()
    host.state = 'restarting'
    const anna = client()
    const id = await anna.create(chatLines('writer', ['one']))
    await waitUntil(async () => (await anna.get(id)).status === 'in_progress')
    expect(inference.requests).toHaveLength(0)
    host.state = 'ready'
    expect(await anna.untilEnded(id)).toMatchObject({ status: 'completed' })
  })

  it('is stopped by its owner, and keeps what it had', async () => {
    const { client, inference } = await start((word) => word === 'endless' ? [{ type: 'wait', until: never }] : answerEvents([word]))
    const anna = client()
    const id = await anna.create(chatLines('writer', ['one', 'two', ...Array.from({ length: 20 }, () => 'endless')]))
    await waitUntil(async () => (await anna.get(id)).request_counts.completed === 2)
    const { status, body } = await anna.ask('POST', `/v1/batches/${id}/cancel`)
    expect([status, body.status]).toEqual([200, 'cancelling'])
    const batch = await anna.untilEnded(id)
    expect(batch).toMatchObject({ status: 'cancelled', completed_at: null, error_file_id: null, request_counts: { total: 22, completed: 2, failed: 0 } })
    expect(batch.cancelled_at).not.toBeNull()
    expect(textsOf(await anna.lines(batch.output_file_id))).toEqual({ 'line-0': 'one', 'line-1': 'two' })
    expect(inference.aborted.length).toBeGreaterThan(0)
    expect(await anna.ask('POST', `/v1/batches/${id}/cancel`)).toMatchObject({ status: 400, body: { error: { param: 'id' } } })
  })

  it('goes on in the next server where the one before has stopped, and leaves nothing to its drain', async () => {
    let isFirst = true
    const script = (word: string): readonly ScriptStep[] => isFirst && Number(word) >= 10 ? [{ type: 'wait', until: never }] : answerEvents([word])
    const lifecycle = new Lifecycle()
    const first = await start(script, { lifecycle })
    const prompts = Array.from({ length: 40 }, (_, index) => String(index))
    const id = await first.client().create(chatLines('writer', prompts))
    await waitUntil(async () => (await first.client().get(id)).request_counts.completed === 10)
    await waitUntil(() => first.inference.requests.length === 16)
    lifecycle.startDraining()
    await waitUntil(() => first.inference.aborted.length === 6)
    await first.close()
    isFirst = false
    const second = await start(script)
    const batch = await second.client().untilEnded(id)
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 40, completed: 40, failed: 0 } })
    expect(textsOf(await second.client().lines(batch.output_file_id))).toEqual(Object.fromEntries(prompts.map((prompt, index) => [`line-${index}`, prompt])))
    // None that was done was run again.
    expect(second.inference.requests).toHaveLength(30)
  })

  it('is shared by servers of one database, each line by one of them', async () => {
    const script = (word: string): readonly ScriptStep[] => answerEvents([word])
    const servers = [await start(script), await start(script)]
    const prompts = Array.from({ length: 200 }, (_, index) => `p${index}`)
    const anna = servers[0]!.client()
    const id = await anna.create(chatLines('writer', prompts))
    const batch = await anna.untilEnded(id)
    expect(batch.request_counts).toEqual({ total: 200, completed: 200, failed: 0 })
    expect(textsOf(await servers[1]!.client().lines(batch.output_file_id))).toEqual(Object.fromEntries(prompts.map((prompt, index) => [`line-${index}`, prompt])))
    expect(servers[0]!.inference.requests.length + servers[1]!.inference.requests.length).toBe(200)
  })

  it('runs completions, embeddings and responses as well', async () => {
    const database = await openDatabase()
    const embedder = new LocalInference(createFakeEngine({ embeddings: 'mean', canGenerate: false, contextSize: 64 }), { maxQueue: 8 })
    closers.push(async () => await embedder.close())
    const { app } = await buildTestApp([createTestHost(createScriptedInference(() => answerEvents(['x'])), { id: 'writer' }), createTestHost(embedder, { id: 'embedder' })], { database })
    closers.push(async () => await app.close())
    const anna = new BatchClient(app)
    for (const [endpoint, body, usage] of [
      ['/v1/completions', { model: 'writer', prompt: 'Hi' }, { input_tokens: 5, output_tokens: 1 }],
      ['/v1/responses', { model: 'writer', input: 'Hi' }, { input_tokens: 5, output_tokens: 1, input_tokens_details: { cached_tokens: 2 } }],
      ['/v1/embeddings', { model: 'embedder', input: ['a', 'b'] }, { output_tokens: 0 }]
    ] as const) {
      const batch = await anna.untilEnded(await anna.create(`${JSON.stringify({ custom_id: 'a', method: 'POST', url: endpoint, body })}\n`, { endpoint }))
      expect(batch).toMatchObject({ status: 'completed', endpoint, model: body.model, usage, request_counts: { total: 1, completed: 1 } })
      expect((batch.usage as { total_tokens: number }).total_tokens).toBeGreaterThan(0)
      expect((await anna.lines(batch.output_file_id))[0]?.response?.status_code).toBe(200)
    }
  })
})

describe('whoever made a batch', () => {
  it('may use in it what they may use, is booked for it, and loses it with their key', async () => {
    const keys = new KeyStore(await openDatabase())
    const create = async (wish: object) => await keys.create(newKeySchema.parse({ owner: 'anna', ...wish }))
    const [narrow, doomed] = [await create({ models: ['other*'], highestPriority: 'interactive', priority: 'interactive' }), await create({ owner: 'ben' })]
    const { app, client, database, inference, log } = await start((word) => word === 'endless' ? [{ type: 'wait', until: never }] : answerEvents([word]), { config: { adminKeys: ['admin'] } })
    const anna = client(narrow.secret)
    const refused = await anna.untilEnded(await anna.create(chatLines('writer', ['one'], { service_tier: 'priority' })))
    expect((await anna.lines(refused.error_file_id))[0]?.response).toMatchObject({ status_code: 404, body: { error: { code: 'model_not_found' } } })

    const ben = client(doomed.secret)
    const done = await ben.untilEnded(await ben.create(chatLines('writer', ['one'], { service_tier: 'priority' })))
    expect(done.request_counts.completed).toBe(1)
    expect(inference.requests[0]).toMatchObject({ tenant: 'ben', priority: 'batch' })
    expect(await database.query('SELECT owner, key_id, endpoint, outcome FROM drawbridge_usage')).toEqual([{ owner: 'ben', key_id: doomed.key.id, endpoint: 'batch /v1/chat/completions', outcome: 'ok' }])
    expect((await anna.ask('GET', `/v1/batches/${done.id}`)).status).toBe(404)
    expect((await anna.ask('POST', '/v1/batches', { input_file_id: done.input_file_id, endpoint: '/v1/chat/completions', completion_window: '24h' })).status).toBe(404)

    const id = await ben.create(chatLines('writer', ['one', ...Array.from({ length: 30 }, () => 'endless')]))
    await waitUntil(async () => (await ben.get(id)).request_counts.completed === 1)
    const other = await create({ owner: 'ben' })
    await app.inject({ method: 'DELETE', url: `/v1/admin/keys/${doomed.key.id}`, headers: { authorization: 'Bearer admin' } })
    const again = client(other.secret)
    const late = await again.create(chatLines('writer', ['late']))
    expect(late).not.toBe(id)
    const failed = await again.untilEnded(id)
    expect(failed).toMatchObject({ status: 'failed', errors: { data: [{ code: 'invalid_api_key', line: null }] }, request_counts: { total: 31, completed: 1, failed: 0 } })
    expect(textsOf(await again.lines(failed.output_file_id))).toEqual({ 'line-0': 'one' })
    expect(await again.untilEnded(late)).toMatchObject({ status: 'completed' })
    expect(JSON.stringify(log())).not.toContain(doomed.secret)
  })

  it('is in the audit log, and what was in the files is in no log', async () => {
    const audited: object[] = []
    const marker = 'qzmarker'
    const { client, logText } = await start(undefined, { auditLog: { append: (line) => { audited.push(line) } } })
    const anna = client()
    const { body: { id: file } } = await anna.upload(chatLines('writer', [marker]).replaceAll('line-', `${marker}-`), undefined, `${marker}.jsonl`)
    const { body: { id } } = await anna.ask('POST', '/v1/batches', { input_file_id: file, endpoint: '/v1/chat/completions', completion_window: '24h', metadata: { a: marker } })
    await anna.untilEnded(id)
    await anna.ask('POST', `/v1/batches/${id}/cancel`)
    expect(audited).toMatchObject([{ event: 'batch.create', outcome: 'done', batch: id, file, endpoint: '/v1/chat/completions' }, { event: 'batch.cancel', outcome: 'failed' }])
    expect(logText()).not.toContain(marker)
    expect(JSON.stringify(audited)).not.toContain(marker)
  })
})

describe('requests of the server to itself', () => {
  it('are not what others can make', async () => {
    const { app } = await start(undefined, { config: { apiKeys: ['k'] } })
    const response = await app.inject({ method: 'POST', url: '/v1/chat/completions', headers: { 'x-drawbridge-internal': 'guess' }, payload: { model: 'writer', messages: [] } })
    expect(response.statusCode).toBe(401)
  })
})

describe('files', () => {
  it('are taken, told, given back and deleted', async () => {
    const { client, app } = await start()
    const anna = client()
    const content = chatLines('writer', ['ü😀'])
    const { status, body: file } = await anna.upload(content, { purpose: 'batch', 'expires_after[anchor]': 'created_at', 'expires_after[seconds]': '3600' }, 'über "alles".jsonl')
    expect(status).toBe(200)
    const { created_at: createdAt } = file as unknown as { created_at: number }
    expect(file).toEqual({
      id: file.id, object: 'file', bytes: Buffer.byteLength(content), created_at: createdAt, expires_at: createdAt + 3600, filename: expect.stringContaining('ber') as string, purpose: 'batch', status: 'processed', status_details: null
    })
    expect((await anna.ask('GET', `/v1/files/${file.id}`)).body).toEqual(file)
    expect((await anna.ask('GET', '/v1/files?purpose=batch&limit=1')).body).toEqual({ object: 'list', data: [file], first_id: file.id, last_id: file.id, has_more: false })
    const download = await app.inject(`/v1/files/${file.id}/content`)
    expect(download.body).toBe(content)
    expect(download.headers).toMatchObject({ 'content-type': 'application/octet-stream', 'x-content-type-options': 'nosniff' })
    expect((await anna.ask('DELETE', `/v1/files/${file.id}`)).body).toEqual({ id: file.id, object: 'file', deleted: true })
    for (const method of ['GET', 'DELETE'] as const) expect((await anna.ask(method, `/v1/files/${file.id}`)).status).toBe(404)
    expect((await anna.ask('GET', `/v1/files/${file.id}/content`)).status).toBe(404)
  })

  it.each<[string, string | Buffer, Record<string, string>, string, number, string | null]>([
    ['no purpose', 'x', {}, 'a', 400, 'purpose'],
    ['another purpose', 'x', { purpose: 'fine-tune' }, 'a', 400, 'purpose'],
    ['a field that there is not', 'x', { purpose: 'batch', folder: 'x' }, 'a', 400, 'folder'],
    ['a field of objects\' prototypes', 'x', { purpose: 'batch', constructor: 'x' }, 'a', 400, null],
    ['an expiry that is none', 'x', { purpose: 'batch', 'expires_after[anchor]': 'created_at', 'expires_after[seconds]': 'soon' }, 'a', 400, 'expires_after.seconds'],
    ['half an expiry', 'x', { purpose: 'batch', 'expires_after[seconds]': '3600' }, 'a', 400, 'expires_after.anchor'],
    ['bytes that are no text', Buffer.from([0x61, 0xC3]), { purpose: 'batch' }, 'a', 400, 'file'],
    ['a null character', 'a\0b', { purpose: 'batch' }, 'a', 400, 'file'],
    ['no name', 'x', { purpose: 'batch' }, '', 400, 'file'],
    ['a name that is too long', 'x', { purpose: 'batch' }, 'x'.repeat(256), 400, 'file'],
    ['too much in it', 'x'.repeat(5000), { purpose: 'batch' }, 'a', 413, 'file']
  ])('are refused with %s, and leave nothing', async (_name, content, fields, filename, status, param) => {
    const { client, database } = await start(undefined, { config: { fileMaxSize: 4096 } })
    const answer = await client().upload(content, fields, filename)
    expect({ status: answer.status, param: answer.body.error?.param }).toEqual({ status, param })
    const states = await database.query('SELECT state FROM drawbridge_files')
    expect(states.every(({ state }) => state === 'deleted')).toBe(true)
  })

  it('are no other media type, and no broken form', async () => {
    const { app } = await start()
    const post = async (headers: Record<string, string>, payload: string | Buffer) => (await app.inject({ method: 'POST', url: '/v1/files', headers, payload })).json<{ error: { code: string } }>().error.code
    expect(await post({ 'content-type': 'application/json' }, '{}')).toBe('unsupported_media_type')
    expect(await post({ 'content-type': 'multipart/form-data' }, 'x')).toBe('invalid_value')
    const { headers, payload } = toForm('x')
    expect(await post(headers, payload.subarray(0, -30))).toBe('invalid_value')
    expect((await app.inject({ method: 'POST', url: '/v1/chat/completions', headers, payload })).statusCode).toBe(415)
  })

  it('that break off leave nothing', async () => {
    const { app, database } = await start()
    const { port } = await listen(app)
    const socket = connect(port, '127.0.0.1')
    socket.on('error', () => {})
    const { headers, payload } = toForm('x'.repeat(1_000_000))
    socket.write(`POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-type: ${headers['content-type']}\r\ncontent-length: ${payload.length}\r\n\r\n`)
    socket.write(payload.subarray(0, 600_000))
    await waitUntil(async () => Number((await database.query('SELECT SUM(bytes) AS bytes FROM drawbridge_files'))[0]?.['bytes']) > 200_000)
    socket.destroy()
    await waitUntil(async () => (await database.query('SELECT state FROM drawbridge_files')).every(({ state }) => state === 'deleted'))
  })

  it('stay within their owner\'s quota', async () => {
    const { client } = await start(undefined, { config: { fileQuota: 3000 } })
    const anna = client()
    expect((await anna.upload('x'.repeat(2000))).status).toBe(200)
    expect(await anna.upload('x'.repeat(2000))).toMatchObject({ status: 413, body: { error: { code: 'storage_quota_exceeded' } } })
  })

  it.each<[string, Partial<TestAppOptions>]>([['a database', { }], ['them', { config: { batches: 'off' } }]])('are none without %s', async (_name, options) => {
    const database = options.config === undefined ? {} : { database: await openDatabase() }
    const { app } = await buildTestApp([createTestHost(createScriptedInference(() => []), { id: 'writer' })], { ...database, ...options })
    closers.push(async () => await app.close())
    const client = new BatchClient(app)
    for (const answer of [await client.ask('GET', '/v1/files'), await client.upload('x'), await client.ask('POST', '/v1/batches', {})]) {
      expect(answer).toMatchObject({ status: 404, body: { error: { code: 'route_not_found', message: expect.stringContaining('--data-dir, --database-url') as string } } })
    }
  })
})
