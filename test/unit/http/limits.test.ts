import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { newKeySchema } from '../../../src/access/keys/api-key.ts'
import { KeyStore } from '../../../src/access/keys/key-store.ts'
import { OwnerLimits } from '../../../src/access/limits/owner-limits.ts'
import { migrate } from '../../../src/access/storage/migrate.ts'
import { SqliteDatabase } from '../../../src/access/storage/sqlite-database.ts'
import { UsageStore } from '../../../src/access/usage/usage-store.ts'
import { type Config, tenantConfigSchema } from '../../../src/config/config.ts'
import { ServerError } from '../../../src/domain/errors.ts'
import type { Limits } from '../../../src/domain/limits.ts'
import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import { waitUntil } from '../../support/server-process.ts'
import { createGate } from '../../support/scripted-adapter-host.ts'
import { answerEvents, createScriptedInference, type ScriptStep } from '../../support/scripted-inference.ts'
import { buildTestApp, listen } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const root = mkdtempSync(path.join(tmpdir(), 'drawbridge-limits-'))
afterAll(() => rmSync(root, { recursive: true }))
const closers: (() => Promise<void>)[] = []
afterEach(async () => { for (const close of closers.splice(0).reverse()) await close() })

interface SetUp {
  /** Of the key. */
  readonly limits?: Limits
  readonly config?: Partial<Config>
  readonly script?: () => readonly ScriptStep[]
}

/** A server with a database, and a key of `anna`. */
async function setUp ({ limits = {}, config = {}, script = () => answerEvents(['a', 'b']) }: SetUp = {}) {
  const database = new SqliteDatabase(path.join(mkdtempSync(path.join(root, 'x')), 'drawbridge.db'), { warn: () => {} })
  await migrate(database)
  const keys = new KeyStore(database)
  const { secret, key } = await keys.create(newKeySchema.parse({ owner: 'anna', limits }))
  const inference = createScriptedInference(script)
  const embedder = new LocalInference(createFakeEngine({ embeddings: 'mean', canGenerate: false, contextSize: 64 }), { maxQueue: 8 })
  const audit: object[] = []
  const { app, log } = await buildTestApp([createTestHost(inference), createTestHost(embedder, { id: 'vectors' })], {
    config: { adminKeys: ['k-admin'], ...config }, database, auditLog: { append: (entry) => { audit.push({ ...entry }) } }
  })
  closers.push(async () => await database.close(), async () => await embedder.close(), async () => await app.close())
  const post = async (url: string, body: object, headers: Record<string, string> = {}) => await app.inject({
    method: 'POST', url, headers: { authorization: `Bearer ${secret}`, ...headers }, payload: { model: 'test-model', ...body }
  })
  const get = async (url: string, as = secret) => (await app.inject({ url, headers: { authorization: `Bearer ${as}` } })).json<Record<string, unknown>>()
  return { app, audit, database, get, inference, key, keys, log, post, secret }
}

const messages = [{ role: 'user' as const, content: 'Hi' }]
const chat = '/v1/chat/completions'
const endpoints = [
  [chat, { messages }],
  ['/v1/completions', { prompt: ['x', 'y'] }],
  ['/v1/responses', { input: 'Hi' }],
  ['/v1/messages', { messages, max_tokens: 9 }],
  ['/v1/embeddings', { model: 'vectors', input: ['the river'] }]
] as const

interface ErrorBody { readonly error: { readonly code?: string, readonly type: string, readonly message: string } }

describe('answers tell what is left of a minute', () => {
  it.each(endpoints)('%s, streamed too', async (url, body) => {
    const { post } = await setUp({ limits: { requestsPerMinute: 6, tokensPerMinute: 60_000 } })
    const prefix = url === '/v1/messages' ? 'anthropic' : 'openai'
    const streams = url === '/v1/embeddings' ? [false] : [false, true]
    for (const [index, stream] of streams.entries()) {
      const { statusCode, headers } = await post(url, { ...body, ...stream ? { stream } : {} })
      expect(statusCode).toBe(200)
      if (prefix === 'anthropic') {
        expect(headers).toMatchObject({ 'anthropic-ratelimit-requests-limit': '6', 'anthropic-ratelimit-requests-remaining': String(5 - index), 'anthropic-ratelimit-tokens-limit': '60000' })
        expect(headers['anthropic-ratelimit-requests-reset']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
        expect(headers['x-ratelimit-limit-requests']).toBeUndefined()
      } else {
        expect(headers).toMatchObject({ 'x-ratelimit-limit-requests': '6', 'x-ratelimit-remaining-requests': String(5 - index), 'x-ratelimit-limit-tokens': '60000' })
        expect(headers['x-ratelimit-reset-requests']).toMatch(/^(?:\d+ms|[\d.]+s)$/)
        expect(Number(headers['x-ratelimit-remaining-tokens'])).toBeLessThan(60_000)
      }
    }
  })

  it('and say nothing where there are no limits', async () => {
    const { post } = await setUp()
    const { headers } = await post(chat, { messages })
    expect(Object.keys(headers).filter((name) => name.includes('ratelimit'))).toEqual([])
  })
})

describe('a key that has had its requests of the minute', () => {
  it.each(endpoints)('is told when to come back, before anything is read: %s', async (url, body) => {
    const { app, post, inference, audit } = await setUp({ limits: { requestsPerMinute: 1 } })
    expect((await post(url, body)).statusCode).toBe(200)
    const ran = inference.requests.length
    // The second time nobody looks into the database; the body is not even JSON of the right shape.
    for (const wrong of [body, { nonsense: true }]) {
      const response = await post(url, wrong)
      expect(response.statusCode).toBe(429)
      expect(response.headers).toMatchObject({ 'retry-after': expect.stringMatching(/^[1-5]?\d$|^60$/), 'retry-after-ms': expect.stringMatching(/^[1-5]?\d{1,4}$|^60000$/) })
      expect(response.headers['x-should-retry']).toBeUndefined()
      const { error } = response.json<ErrorBody>()
      expect(error.type).toBe('rate_limit_error')
      if (url !== '/v1/messages') expect(error.code).toBe('rate_limit_exceeded')
      expect(error.message).toMatch(/^Rate limit reached on requests per minute \(requests_per_minute\) for this key: limit 1, used 1, this request may take 1\. Try again in [\d.]+s\.$/)
    }
    expect(inference.requests.length).toBe(ran)
    expect(audit).toMatchObject([{ event: 'request.refused', outcome: 'refused', limit: 'requests_per_minute', status: 429, tenant: 'anna' }, { limit: 'requests_per_minute' }])
    const metrics = (await app.inject({ url: '/metrics', headers: { authorization: 'Bearer k-admin' } })).body
    expect(metrics).toContain('drawbridge_limit_refusals_total{limit="requests_per_minute"} 2')
    expect(metrics).toContain('drawbridge_limit_refusals_total{limit="cost_per_day"} 0')
  })

  it('gets its answer through OpenAI\'s and Anthropic\'s clients, which come back when they are told to', async () => {
    const { app, database, secret, key, post } = await setUp({ limits: { requestsPerMinute: 600 } })
    const { origin } = await listen(app)
    await post(chat, { messages })
    const empty = async (fullInMs: number): Promise<void> => {
      await database.query('UPDATE drawbridge_buckets SET requests_full_at = CAST(unixepoch(\'subsec\') * 1000000 AS INTEGER) + ? WHERE subject = ?', [fullInMs * 1000, `key:${key.id}`])
    }
    // Full in a minute and 150 ms: one request is there in 250 ms.
    await empty(60_150)
    const openai = new OpenAI({ baseURL: `${origin}/v1`, apiKey: secret, maxRetries: 1 })
    expect((await openai.chat.completions.create({ model: 'test-model', messages })).choices[0]?.message.content).toBe('ab')
    await empty(60_150)
    // Once more, for what the server remembers from before.
    const anthropic = new Anthropic({ baseURL: origin, apiKey: secret, maxRetries: 2 })
    expect((await anthropic.messages.create({ model: 'test-model', messages, max_tokens: 9 })).content).toMatchObject([{ type: 'text', text: 'ab' }])
    // Longer than any machine takes to ask.
    await empty(120_000)
    await expect(new OpenAI({ baseURL: `${origin}/v1`, apiKey: secret, maxRetries: 0 }).chat.completions.create({ model: 'test-model', messages })).rejects.toBeInstanceOf(OpenAI.RateLimitError)
  })
})

describe('a request for more tokens than a minute has', () => {
  it('waits for what others have taken', async () => {
    const gate = createGate()
    const { post, get } = await setUp({ limits: { tokensPerMinute: 200 }, script: () => [{ type: 'wait', until: gate.opened }, ...answerEvents(['a', 'b'])] })
    const first = post(chat, { messages, max_tokens: 100 })
    await waitUntil(async () => ((await get('/v1/limits'))['data'] as { used: number }[])[0]!.used > 100)
    const second = await post(chat, { messages, max_tokens: 100 })
    expect(second.statusCode).toBe(429)
    expect(second.json<ErrorBody>().error.message).toContain('tokens per minute (tokens_per_minute) for this key: limit 200')
    gate.open()
    expect((await first).statusCode).toBe(200)
    // Seven were used, and the rest came back.
    expect((await post(chat, { messages, max_tokens: 100 })).statusCode).toBe(200)
  })

  it('is refused for good where there never are so many', async () => {
    const { post, inference } = await setUp({ limits: { tokensPerMinute: 50 } })
    const response = await post(chat, { messages, max_tokens: 100 })
    expect(response.statusCode).toBe(400)
    expect(response.json<ErrorBody>().error).toMatchObject({ code: 'request_exceeds_limit', type: 'invalid_request_error', message: expect.stringMatching(/^This request takes at least 1\d\d tokens .* for this key is 50\./) as unknown })
    expect(inference.requests).toEqual([])
    // How long the answer becomes is not said, so it may well be short.
    expect((await post(chat, { messages })).statusCode).toBe(200)
  })
})

describe('a budget', () => {
  it('that is used up is told with when it begins anew, and no client tries again', async () => {
    const { app, post, secret, get } = await setUp({ limits: { tokensPerDay: 60 } })
    expect((await post(chat, { messages, max_tokens: 20 })).statusCode).toBe(200)
    const response = await post(chat, { messages, max_tokens: 30 })
    expect(response.statusCode).toBe(429)
    expect(response.headers).toMatchObject({ 'x-should-retry': 'false' })
    expect(response.headers['retry-after']).toBeUndefined()
    expect(response.json<ErrorBody>().error).toMatchObject({
      code: 'insufficient_quota',
      type: 'insufficient_quota',
      message: expect.stringMatching(/^The budget does not have it: tokens per day \(tokens_per_day\) for this key: limit 60, used 7, this request may take \d+\. It begins anew at \d{4}-\d\d-\d\dT00:00:00Z\.$/) as unknown
    })
    const { origin } = await listen(app)
    let tries = 0
    const client = new OpenAI({ baseURL: `${origin}/v1`, apiKey: secret, maxRetries: 3, fetch: async (...request) => { tries++; return await fetch(...request) } })
    await expect(client.chat.completions.create({ model: 'test-model', messages, max_tokens: 30 })).rejects.toMatchObject({ status: 429, code: 'insufficient_quota' })
    expect(tries).toBe(1)
    expect(await get('/v1/limits')).toMatchObject({ owner: 'anna', data: [{ of: 'key', name: 'tokens_per_day', limit: 60, used: 7, remaining: 53 }] })
  })

  it('is what the ledger has, whatever became of the requests', async () => {
    const scripts = [
      () => answerEvents(['a', 'b', 'c']),
      (): ScriptStep[] => [{ type: 'accepted', promptTokens: 5 }, { type: 'throw', error: new ServerError('queue_full', 'full') }],
      (): ScriptStep[] => [...answerEvents(['a', 'b']).slice(0, 3), { type: 'throw', error: new ServerError('engine_crashed', 'gone') }]
    ]
    let turn = 0
    const { database, post, get } = await setUp({ limits: { tokensPerMonth: 100_000, concurrentRequests: 1 }, script: () => scripts[turn++ % 3]!() })
    for (const status of [200, 429, 500, 200, 429, 500]) expect((await post(chat, { messages })).statusCode).toBe(status)
    const rows = await new UsageStore(database).read({ from: 0, to: Number.MAX_SAFE_INTEGER }, null, 100)
    const used = rows.reduce((sum, { promptTokens, completionTokens }) => sum + promptTokens + completionTokens, 0)
    expect(used).toBe(2 * (8 + 6))
    expect(((await get('/v1/limits'))['data'])).toMatchObject([{ name: 'tokens_per_month', used, remaining: 100_000 - used }, { name: 'concurrent_requests', used: 0 }])
  })

  it('may be of money', async () => {
    const prices = [{ model: '*', prompt: 1_000_000, completion: 0 }]
    const { post, get } = await setUp({ limits: { costPerDay: 40 }, config: { prices } })
    expect((await post(chat, { messages })).statusCode).toBe(200)
    expect((await get('/v1/limits'))['data']).toMatchObject([{ name: 'cost_per_day', limit: 40, used: 5 }])
    expect((await post(chat, { messages: [{ role: 'user', content: 'A long story' }] })).json<ErrorBody>().error.message).toContain('cost per day (cost_per_day) for this key: limit 40, used 5')
  })
})

describe('limits of each request', () => {
  it('end answers early, and refuse prompts that are too long', async () => {
    const { post, inference, database } = await setUp({ limits: { answerTokens: 3, contextTokens: 40 } })
    const transactions = vi.spyOn(database, 'transaction')
    for (const max of [undefined, 2, 9]) await post(chat, { messages, ...max === undefined ? {} : { max_tokens: max } })
    await post('/v1/completions', { prompt: 'x' })
    expect(inference.requests.map(({ maxTokens, contextLimit }) => [maxTokens, contextLimit])).toEqual([[3, 40], [2, 40], [3, 40], [3, 40]])
    // Those of the ledger; nobody has to look what is left.
    expect(transactions).toHaveBeenCalledTimes(4)
    const response = await post(chat, { messages: [{ role: 'user', content: 'x'.repeat(20) }] })
    expect(response.json<ErrorBody>().error).toMatchObject({ code: 'context_length_exceeded', message: expect.stringContaining('Your key\'s limit is a context of 40 tokens, and the prompt has at least 48') as unknown })
  })
})

describe('requests that run at once', () => {
  it('are as many as a limit says, and one may come when another has gone', async () => {
    const gates = [createGate(), createGate()]
    let turn = 0
    const { post, inference } = await setUp({ limits: { concurrentRequests: 2 }, script: () => [{ type: 'wait', until: gates[turn++ % 2]!.opened }, ...answerEvents(['a'])] })
    const running = [post(chat, { messages }), post(chat, { messages })]
    await waitUntil(() => inference.requests.length === 2)
    const refused = await post(chat, { messages })
    expect([refused.statusCode, refused.headers['retry-after-ms']]).toEqual([429, '1000'])
    for (const gate of gates) gate.open()
    for (const response of running) expect((await response).statusCode).toBe(200)
    expect((await post(chat, { messages })).statusCode).toBe(200)
  })
})

describe('a client that leaves', () => {
  it('has used what there was until then, once, and holds nothing any more', async () => {
    const { app, get, secret } = await setUp({
      limits: { tokensPerMinute: 60_000, tokensPerDay: 100_000, concurrentRequests: 1 }, script: () => [...answerEvents(['a', 'b']).slice(0, 3), { type: 'wait', until: new Promise(() => {}) }]
    })
    const { origin } = await listen(app)
    const leaving = new AbortController()
    const response = await fetch(`${origin}${chat}`, {
      method: 'POST', signal: leaving.signal, headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` }, body: JSON.stringify({ model: 'test-model', messages, max_tokens: 900, stream: true })
    })
    await response.body?.getReader().read()
    leaving.abort()
    const left = async () => (await get('/v1/limits'))['data'] as readonly { readonly name: string, readonly used: number, readonly remaining: number }[]
    await waitUntil(async () => (await left())[2]?.used === 0)
    expect(await left()).toMatchObject([{ name: 'tokens_per_minute' }, { name: 'tokens_per_day', used: 6, remaining: 99_994 }, { name: 'concurrent_requests', used: 0 }])
    expect((await left())[0]!.used).toBeLessThanOrEqual(6)
  })

  it('before it is let in holds nothing', async () => {
    const { app, database, get, log, secret, inference } = await setUp({ limits: { concurrentRequests: 1 } })
    const { origin } = await listen(app)
    const leaving = new AbortController()
    const gate = createGate()
    // The key is known from now on.
    await get('/v1/limits')
    const transactions = vi.spyOn(database, 'transaction')
    const blocked = database.transaction(async () => await gate.opened)
    const response = fetch(`${origin}${chat}`, {
      method: 'POST', signal: leaving.signal, headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` }, body: JSON.stringify({ model: 'test-model', messages })
    }).catch(() => null)
    await waitUntil(() => transactions.mock.calls.length === 2)
    leaving.abort()
    await response
    // The server knows of it.
    await waitUntil(() => log().some(({ status }) => status === 499))
    gate.open()
    await blocked
    await waitUntil(async () => ((await get('/v1/limits'))['data'] as readonly { readonly used: number }[])[0]?.used === 0)
    expect(inference.requests).toEqual([])
  })
})

describe('whose limits hold', () => {
  it('all keys of an owner share what is set for it, and a key that is rotated goes on with what is left', async () => {
    const { database, keys, app, secret, key } = await setUp({ limits: { requestsPerMinute: 2 } })
    await new OwnerLimits(database).change('anna', { requestsPerMinute: 3 })
    const send = async (as: string) => (await app.inject({ method: 'POST', url: chat, headers: { authorization: `Bearer ${as}` }, payload: { model: 'test-model', messages } }))
    const other = await keys.create(newKeySchema.parse({ owner: 'anna' }))
    expect([(await send(secret)).statusCode, (await send(secret)).statusCode]).toEqual([200, 200])
    const rotated = await keys.rotate(key.id, 60_000)
    expect((await send(rotated.secret)).json<ErrorBody>().error.message).toContain('for this key: limit 2')
    expect((await send(other.secret)).statusCode).toBe(200)
    expect((await send(other.secret)).json<ErrorBody>().error.message).toContain('for all keys of its owner: limit 3')
  })

  it('those of the settings: of tenants, and of every key without its own', async () => {
    const tenants = [tenantConfigSchema.parse({ name: 'team', keys: ['k-1', 'k-2'], limits: { requestsPerMinute: 2, tokensPerDay: 'off' } })]
    const { app, get } = await setUp({ config: { tenants, limits: { concurrentRequests: 7, tokensPerDay: 1000 }, apiKeys: ['k-plain'] } })
    const send = async (as: string) => (await app.inject({ method: 'POST', url: chat, headers: { authorization: `Bearer ${as}` }, payload: { model: 'test-model', messages } })).statusCode
    expect([await send('k-1'), await send('k-2'), await send('k-1')]).toEqual([200, 200, 429])
    expect((await get('/v1/limits', 'k-2'))['data']).toMatchObject([{ of: 'owner', name: 'requests_per_minute', limit: 2, remaining: 0 }, { name: 'concurrent_requests', limit: 7 }])
    expect((await get('/v1/limits', 'k-plain'))['data']).toMatchObject([{ name: 'tokens_per_day', limit: 1000 }, { name: 'concurrent_requests', limit: 7 }])
    const { data } = await get('/v1/admin/limits?owner=team', 'k-admin')
    expect(data).toMatchObject([{ owner: 'team', key: null, data: [{ used: 2 }, {}] }])
  })

  it('are changed while the server runs, member by member', async () => {
    const { app, get, key, audit } = await setUp({ limits: { requestsPerMinute: 5, tokensPerDay: 10 }, config: { limits: { tokensPerDay: 3000 } } })
    const change = async (url: string, payload: object) => (await app.inject({ method: 'POST', url, headers: { authorization: 'Bearer k-admin' }, payload })).json<Record<string, unknown>>()
    expect(await change(`/v1/admin/keys/${key.id}`, { limits: { requests_per_minute: 9, tokens_per_day: null, concurrent_requests: 'off' }, name: 'desk' })).toMatchObject({ name: 'desk', scopes: ['inference'], limits: { requests_per_minute: 9, concurrent_requests: 'off' } })
    expect(await change('/v1/admin/owners/anna/limits', { limits: { answer_tokens: 5 } })).toEqual({ object: 'owner', owner: 'anna', limits: { answer_tokens: 5 } })
    expect((await get('/v1/limits'))['data']).toMatchObject([{ name: 'requests_per_minute', limit: 9 }, { name: 'tokens_per_day', limit: 3000 }, { of: 'owner', name: 'answer_tokens', limit: 5, used: null }])
    expect(audit).toMatchObject([{ event: 'key.update', keyId: key.id, members: 'name limits', outcome: 'done' }, { event: 'owner.limit', owner: 'anna' }])
  })

  it('are read page by page', async () => {
    const { get, keys } = await setUp()
    for (const name of ['b', 'c', 'd']) await keys.create(newKeySchema.parse({ owner: 'ben', name }))
    const names: unknown[] = []
    for (let after = ''; ;) {
      const page = await get(`/v1/admin/keys?limit=2${after}`, 'k-admin') as { data: { id: string, name: string }[], has_more: boolean }
      names.push(...page.data.map(({ name }) => name))
      if (!page.has_more) break
      after = `&after=${page.data.at(-1)!.id}`
    }
    expect(names.sort()).toEqual(['', 'b', 'c', 'd'])
    expect(await get('/v1/admin/limits?limit=3', 'k-admin')).toMatchObject({ data: { length: 4 }, has_more: true })
  })
})

it('a database that gives no answer lets nobody in who has limits', async () => {
  const { post, database, inference } = await setUp({ limits: { requestsPerMinute: 5 } })
  expect((await post(chat, { messages })).statusCode).toBe(200)
  await database.close()
  const response = await post(chat, { messages })
  expect([response.statusCode, response.json<ErrorBody>().error.code]).toEqual([503, 'storage_unavailable'])
  expect(response.headers['retry-after']).toBe('1')
  expect(inference.requests.length).toBe(1)
})

it('without a ledger budgets count all the same', async () => {
  const { post, get } = await setUp({ limits: { tokensPerDay: 100 }, config: { usage: 'off' } })
  expect((await post(chat, { messages, max_tokens: 60 })).statusCode).toBe(200)
  await waitUntil(async () => ((await get('/v1/limits'))['data'] as readonly { readonly used: number }[])[0]?.used === 7)
  expect((await post(chat, { messages, max_tokens: 70 })).json<ErrorBody>().error.code).toBe('insufficient_quota')
})

it('without a database limits are of the server alone', async () => {
  const tenants = [tenantConfigSchema.parse({ name: 'team', keys: ['k-1', 'k-2'], limits: { requestsPerMinute: 2, tokensPerDay: 10_000, concurrentRequests: 1 } })]
  const { app } = await buildTestApp([createTestHost(createScriptedInference(() => answerEvents(['a'])))], { config: { tenants } })
  closers.push(async () => await app.close())
  const send = async (as: string) => await app.inject({ method: 'POST', url: chat, headers: { authorization: `Bearer ${as}` }, payload: { model: 'test-model', messages } })
  expect([(await send('k-1')).statusCode, (await send('k-2')).statusCode, (await send('k-1')).statusCode]).toEqual([200, 200, 429])
  const left = async () => (await app.inject({ url: '/v1/limits', headers: { authorization: 'Bearer k-1' } })).json<{ data: object[] }>().data
  await vi.waitFor(async () => expect(await left()).toMatchObject([{ used: 2 }, { name: 'tokens_per_day', used: 12, remaining: 9988 }, { name: 'concurrent_requests', used: 0 }]))
})
