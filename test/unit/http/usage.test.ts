import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import type { Database } from '../../../src/access/storage/database.ts'
import { migrate } from '../../../src/access/storage/migrate.ts'
import { SqliteDatabase } from '../../../src/access/storage/sqlite-database.ts'
import { UsageStore } from '../../../src/access/usage/usage-store.ts'
import type { Config } from '../../../src/config/config.ts'
import { ServerError } from '../../../src/domain/errors.ts'
import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import { answerEvents, createScriptedInference, type ScriptStep } from '../../support/scripted-inference.ts'
import { buildTestApp, listen } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'
import { usageRow } from '../../support/usage-rows.ts'

const root = mkdtempSync(path.join(tmpdir(), 'drawbridge-usage-'))
afterAll(() => rmSync(root, { recursive: true }))
const closers: (() => Promise<void>)[] = []
afterEach(async () => { for (const close of closers.splice(0).reverse()) await close() })

const silent = { warn: (): void => {} }
const tenants: Config['tenants'] = [{ name: 'team', keys: ['k-team'], weight: 1, priority: 'normal', highestPriority: 'normal', namesUsers: true, admin: false, models: null, adapters: null, limits: {} }]
const plainConfig: Partial<Config> = { apiKeys: ['k-plain'], adminKeys: ['k-admin'], tenants }
const always = { from: 0, to: 10_000_000_000_000 }

interface SetUp {
  readonly config?: Partial<Config>
  readonly script?: () => readonly ScriptStep[]
  /** What happens before a transaction of the ledger. */
  readonly beforeCommit?: () => Promise<void>
}

async function setUp ({ config = plainConfig, script = () => answerEvents(['a', 'b']), beforeCommit = async () => {} }: SetUp = {}) {
  const file = new SqliteDatabase(path.join(mkdtempSync(path.join(root, 'x')), 'drawbridge.db'), silent)
  await migrate(file)
  const database: Database = {
    kind: 'sqlite',
    name: file.name,
    query: async (sql, parameters) => await file.query(sql, parameters),
    async transaction (work) {
      await beforeCommit()
      return await file.transaction(work)
    },
    close: async () => await file.close()
  }
  const store = new UsageStore(file)
  const inference = createScriptedInference(script)
  const embedder = new LocalInference(createFakeEngine({ embeddings: 'mean', canGenerate: false, contextSize: 64 }), { maxQueue: 8 })
  const { app, log } = await buildTestApp([createTestHost(inference), createTestHost(embedder, { id: 'vectors' })], { config, database })
  closers.push(async () => await file.close(), async () => await embedder.close(), async () => await app.close())
  const post = async (url: string, body: object, headers: Record<string, string> = {}) => await app.inject({
    method: 'POST', url, headers: { authorization: 'Bearer k-team', ...headers }, payload: { model: 'test-model', ...body }
  })
  const get = async (url: string, key = 'k-admin', accept = '*/*') => await app.inject({ url, headers: { authorization: `Bearer ${key}`, accept } })
  return { app, log, store, post, get, rows: async () => await store.read(always, null, 100) }
}

const messages = [{ role: 'user', content: 'Hi' }]

/** A request of every endpoint that runs a model, and what only complete answers end with. */
const endpoints = [
  ['/v1/chat/completions', { messages }, '[DONE]'],
  ['/v1/completions', { prompt: ['x', 'y'] }, '[DONE]'],
  ['/v1/responses', { input: 'Hi' }, 'response.completed'],
  ['/v1/messages', { messages, max_tokens: 9 }, 'message_stop']
] as const

describe('a request that ran a model', () => {
  it.each(endpoints)('is one row of the ledger: %s', async (url, body) => {
    const { post, rows } = await setUp()
    const count = 'prompt' in body ? 2 : 1
    for (const stream of [false, true]) expect((await post(url, { ...body, stream }, { 'x-request-id': `mine-${stream}` })).statusCode).toBe(200)
    const found = await rows()
    expect(found.map(({ requestId }) => requestId).sort()).toEqual(['mine-false', 'mine-true'])
    for (const row of found) {
      expect(row).toMatchObject({
        owner: 'team', tenant: 'team', keyId: null, model: 'test-model', adapters: [], endpoint: url, promptTokens: 5 * count, cachedTokens: 2 * count, completionTokens: 2 * count, queuedMs: 3, finishReasons: Array.from({ length: count }, () => 'stop'), outcome: 'ok', errorCode: null
      })
    }
  })

  it('has the id of its answer, and the user whom a gateway has named', async () => {
    const { post, rows } = await setUp()
    const { id } = (await post('/v1/chat/completions', { messages }, { 'x-llm-d-inference-fairness-id': 'anna' })).json<{ id: string }>()
    expect(await rows()).toMatchObject([{ id, owner: 'team', tenant: 'team/anna' }])
  })

  it('may be one for vectors', async () => {
    const { post, rows } = await setUp()
    const { usage } = (await post('/v1/embeddings', { model: 'vectors', input: ['the river', 'x'] })).json<{ usage: { prompt_tokens: number } }>()
    expect(usage.prompt_tokens).toBeGreaterThan(0)
    expect(await rows()).toMatchObject([{ endpoint: '/v1/embeddings', model: 'vectors', promptTokens: usage.prompt_tokens, completionTokens: 0, outcome: 'ok' }])
  })

  it('counts what there was of it where it failed', async () => {
    const script = (): ScriptStep[] => [...answerEvents(['a', 'b']).slice(0, 3), { type: 'throw', error: new ServerError('engine_crashed', 'gone') }]
    const { post, rows } = await setUp({ script })
    expect((await post('/v1/chat/completions', { messages })).statusCode).toBe(500)
    expect(await rows()).toMatchObject([{ promptTokens: 5, completionTokens: 1, finishReasons: [], outcome: 'error', errorCode: 'engine_crashed' }])
  })

  it('is none before a model has begun', async () => {
    const script = (): ScriptStep[] => [{ type: 'accepted', promptTokens: 5 }, { type: 'throw', error: new ServerError('queue_timeout', 'too long') }]
    const { post, rows } = await setUp({ script })
    expect((await post('/v1/chat/completions', { messages })).statusCode).toBe(503)
    expect((await post('/v1/chat/completions', {})).statusCode).toBe(400)
    expect(await rows()).toEqual([])
  })

  it('counts what there was of it when its client left', async () => {
    const { app, rows } = await setUp({ script: () => [...answerEvents(['a', 'b']).slice(0, 3), { type: 'wait', until: new Promise(() => {}) }] })
    const { origin } = await listen(app)
    const leaving = new AbortController()
    const response = await fetch(`${origin}/v1/chat/completions`, {
      method: 'POST', signal: leaving.signal, headers: { 'content-type': 'application/json', authorization: 'Bearer k-team' }, body: JSON.stringify({ model: 'test-model', messages, stream: true })
    })
    await response.body?.getReader().read()
    leaving.abort()
    await expect.poll(rows).toMatchObject([{ completionTokens: 1, outcome: 'aborted', errorCode: 'request_aborted' }])
  })

  it.each([['keys', 0], ['all', 1], ['off', 0]] as const)('of nobody\'s key is counted where --usage is %s: %i', async (usage, count) => {
    const { app, rows } = await setUp({ config: { usage } })
    expect((await app.inject({ method: 'POST', url: '/v1/chat/completions', payload: { model: 'test-model', messages } })).statusCode).toBe(200)
    expect(await rows()).toHaveLength(count)
  })
})

describe('an answer', () => {
  it.each(endpoints)('of %s does not end before its row is committed', async (url, body, last) => {
    let commit = (): void => {}
    let begun = (): void => {}
    const committed = new Promise<void>((resolve) => { commit = resolve })
    const isCommitting = new Promise<void>((resolve) => { begun = resolve })
    const beforeCommit = async (): Promise<void> => {
      begun()
      await committed
    }
    const { app, rows } = await setUp({ beforeCommit, config: { ...plainConfig, keepAliveMs: 1 } })
    const { origin } = await listen(app)
    const response = await fetch(`${origin}${url}`, {
      method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer k-team' }, body: JSON.stringify({ model: 'test-model', ...body, stream: true })
    })
    await isCommitting
    let text = ''
    let pieces = 0
    // What comes after the row went to the database is a sign of life, whatever there was before.
    for await (const piece of response.body!) {
      text += Buffer.from(piece).toString()
      if (++pieces !== 5) continue
      expect(text).not.toContain(last)
      expect(await rows()).toEqual([])
      commit()
    }
    expect(text).toContain(last)
    expect(await rows()).toHaveLength(1)
  })

  it.each(endpoints)('of %s fails where it cannot be booked', async (url, body, last) => {
    const { post, rows } = await setUp({ beforeCommit: async () => { throw new ServerError('storage_unavailable', 'no answer') } })
    const response = await post(url, body)
    expect(response.statusCode).toBe(url === '/v1/messages' ? 529 : 503)
    expect(response.headers['retry-after']).toBeDefined()
    const { body: events } = await post(url, { ...body, stream: true })
    expect(events).not.toContain(last)
    expect(events).toContain('no answer')
    expect(await rows()).toEqual([])
  })

  it('that failed keeps its own error where that cannot be booked', async () => {
    const script = (): ScriptStep[] => [...answerEvents(['a']).slice(0, 3), { type: 'throw', error: new ServerError('engine_crashed', 'gone') }]
    const { post, log } = await setUp({ script, beforeCommit: async () => { throw new ServerError('storage_unavailable', 'no answer') } })
    expect((await post('/v1/chat/completions', { messages })).json()).toMatchObject({ error: { code: 'engine_crashed' } })
    expect(log().some(({ msg }) => msg === 'a request is missing in the ledger')).toBe(true)
  })
})

describe('a report of usage', () => {
  const withRows = async (config: Partial<Config> = plainConfig) => {
    const server = await setUp({ config })
    await server.store.insert([
      usageRow({ id: 'a', owner: 'team', finishedAt: Date.parse('2026-11-01T12:00:00Z') }),
      usageRow({ id: 'b', owner: 'team', model: 'n', finishedAt: Date.parse('2026-11-02T12:00:00Z') }),
      usageRow({ id: 'c', owner: 'ben', finishedAt: Date.parse('2026-11-02T13:00:00Z'), adapters: ['x'] })
    ])
    return server
  }
  const november = 'from=2026-11-01&to=2026-12-01'
  const sums = { requests: 1, prompt_tokens: 10, cached_tokens: 4, completion_tokens: 5, total_tokens: 15 }

  it('adds up by what is asked for', async () => {
    const { get } = await withRows()
    expect((await get(`/v1/admin/usage?${november}`)).json()).toEqual({
      object: 'usage',
      from: 1_793_491_200,
      to: 1_796_083_200,
      group_by: ['day'],
      data: [{ day: '2026-11-01', ...sums }, { day: '2026-11-02', requests: 2, prompt_tokens: 20, cached_tokens: 8, completion_tokens: 10, total_tokens: 30 }],
      total: { requests: 3, prompt_tokens: 30, cached_tokens: 12, completion_tokens: 15, total_tokens: 45 }
    })
    const { data } = (await get(`/v1/admin/usage?${november}&group_by=owner,adapter,owner&owner=ben`)).json<{ data: object[] }>()
    expect(data).toEqual([{ owner: 'ben', adapter: 'x', ...sums }])
    const times = 'from=2026-11-02T13:30:00%2B01:00&to=1793624400'
    expect((await get(`/v1/admin/usage?${times}&group_by=model`)).json()).toMatchObject({ data: [], total: { requests: 0 } })
    expect((await get('/v1/admin/usage?from=2026-11-02T12:30:00%2B01:00&to=1793624400&group_by=model')).json()).toMatchObject({ data: [{ model: 'n' }] })
  })

  it('is of the last thirty days unless it says otherwise', async () => {
    const { post, get } = await withRows()
    await post('/v1/chat/completions', { messages })
    expect((await get('/v1/admin/usage?group_by=model')).json()).toMatchObject({ data: expect.arrayContaining([expect.objectContaining({ model: 'test-model', requests: 1 })]) })
    expect((await get('/v1/admin/usage?to=2026-11-02')).json()).toMatchObject({ total: { requests: 1 } })
  })

  it('is a table for those who ask for one, with what it costs', async () => {
    const { get } = await withRows({ ...plainConfig, prices: [{ model: 'm', prompt: 3, cached: 0.5, completion: 15 }] })
    const csv = await get(`/v1/admin/usage?${november}&group_by=owner,model&format=csv`)
    expect(csv.headers).toMatchObject({ 'content-type': 'text/csv; charset=utf-8', 'content-disposition': 'attachment; filename="usage.csv"' })
    expect(csv.body.split('\r\n')).toEqual([
      'owner,model,requests,prompt_tokens,cached_tokens,completion_tokens,total_tokens,cost', 'ben,m,1,10,4,5,15,0.000095', 'team,m,1,10,4,5,15,0.000095', 'team,n,1,10,4,5,15,', ''
    ])
    expect((await get(`/v1/admin/usage?${november}`, 'k-admin', 'text/csv')).body).toMatch(/^day,/)
    expect((await get(`/v1/admin/usage?${november}&format=json`, 'k-admin', 'text/csv')).json()).toMatchObject({ total: { cost: null } })
    expect((await get(`/v1/admin/usage?${november}&owner=ben`)).json()).toMatchObject({ total: { cost: 0.000095 } })
  })

  it('is of one\'s own for those who are no admins', async () => {
    const { get } = await withRows()
    expect((await get(`/v1/usage?${november}&group_by=owner`, 'k-team')).json()).toMatchObject({ data: [{ owner: 'team', requests: 2 }], total: { requests: 2 } })
    expect((await get(`/v1/usage?${november}`, 'k-plain')).json()).toMatchObject({ data: [] })
    expect((await get(`/v1/usage?${november}&owner=ben`, 'k-team')).statusCode).toBe(400)
    expect((await get(`/v1/admin/usage?${november}`, 'k-team')).statusCode).toBe(403)
    expect((await get('/v1/usage', 'wrong')).statusCode).toBe(401)
  })

  it.each([
    ['from=yesterday', 'from'], ['from=2026-13-45', 'from'], ['to=-1', 'to'], ['from=2026-11-02&to=2026-11-01', 'from'], ['group_by=prompt', 'group_by'], ['group_by=', 'group_by'], ['format=xml', 'format'], ['since=1', 'since']
  ])('refuses %s', async (query, param) => {
    const { get } = await setUp()
    const response = await get(`/v1/admin/usage?${query}`)
    expect(response.statusCode).toBe(400)
    expect(response.json()).toMatchObject({ error: { param } })
  })

  it('is none where there is no ledger', async () => {
    const { app } = await buildTestApp([], { config: plainConfig })
    closers.push(async () => await app.close())
    const response = await app.inject({ url: '/v1/admin/usage', headers: { authorization: 'Bearer k-admin' } })
    expect(response.statusCode).toBe(404)
    expect(response.json()).toMatchObject({ error: { message: expect.stringContaining('--usage') as string } })
  })
})
