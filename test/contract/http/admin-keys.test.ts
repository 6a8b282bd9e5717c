import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { migrate } from '../../../src/access/storage/migrate.ts'
import { SqliteDatabase } from '../../../src/access/storage/sqlite-database.ts'
import type { Config } from '../../../src/config/config.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const disposers: (() => Promise<unknown> | void)[] = []
afterEach(async () => { for (const dispose of disposers.splice(0).reverse()) await dispose() })

type Answer = Record<string, unknown> & { readonly id: string, readonly key: string, readonly data: readonly Record<string, unknown>[], readonly error: { readonly code: string, readonly param: string, readonly message: string } }

async function setUp (config: Partial<Config> = { adminKeys: ['root'] }, models: readonly string[] = ['base', 'other']) {
  const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-admin-'))
  const database = new SqliteDatabase(path.join(folder, 'keys.db'), { warn: () => {} })
  disposers.push(() => rmSync(folder, { recursive: true }), async () => await database.close())
  await migrate(database)
  const inference = createScriptedInference(() => answerEvents(['x']))
  const testApp = await buildTestApp(models.map((id) => createTestHost(inference, { id, root: `/models/${id}` })), { config, database })
  disposers.push(async () => await testApp.app.close())
  const send = async (method: 'GET' | 'POST' | 'DELETE', url: string, key: string | null = 'root', payload?: object) => {
    const response = await testApp.app.inject({
      method, url, ...(payload === undefined ? {} : { payload }), ...(key === null ? {} : { headers: { authorization: `Bearer ${key}` } })
    })
    return { status: response.statusCode, body: response.json<Answer>(), headers: response.headers }
  }
  const create = async (wish: object = {}) => (await send('POST', '/v1/admin/keys', 'root', { owner: 'anna', ...wish })).body
  const chat = async (key: string, model = 'base', rest: object = {}) => await send('POST', '/v1/chat/completions', key, { model, messages: [{ role: 'user', content: 'Hi' }], ...rest })
  return { ...testApp, inference, database, send, create, chat }
}

const now = (): number => Math.floor(Date.now() / 1000)

describe('keys', () => {
  it('are shown once, work at once, and charge their owner', async () => {
    const { send, create, chat, inference, logText } = await setUp()
    const { key, ...shown } = await create({ name: 'laptop', scopes: ['inference', 'metrics'], models: ['b*'], weight: 2, priority: 'batch', expires_in: 3600 })
    expect(shown).toEqual({
      object: 'key',
      id: `key_${key.slice(6, 18)}`,
      prefix: key.slice(0, 18),
      owner: 'anna',
      name: 'laptop',
      state: 'active',
      scopes: ['inference', 'metrics'],
      models: ['b*'],
      adapters: null,
      weight: 2,
      priority: 'batch',
      highest_priority: 'normal',
      names_users: false,
      limits: {},
      created_at: expect.any(Number),
      expires_at: expect.any(Number),
      revoked_at: null,
      last_used_at: null,
      replaced_by: null
    })
    expect(Number(shown['expires_at']) - Number(shown['created_at'])).toBeGreaterThanOrEqual(3599)
    expect((await chat(key)).status).toBe(200)
    expect(inference.requests[0]).toMatchObject({ tenant: 'anna', weight: 2, priority: 'batch' })
    const listed = (await send('GET', '/v1/admin/keys')).body.data
    expect(listed).toEqual([{ ...shown, last_used_at: expect.any(Number) }])
    expect((await send('GET', `/v1/admin/keys/${shown.id}`)).body).toEqual(listed[0])
    expect((await send('GET', '/v1/admin/keys?owner=ben')).body.data).toEqual([])
    expect(logText()).not.toContain(key.slice(18))
  })

  it('are rotated, with a time in which both work', async () => {
    const { send, create, chat } = await setUp()
    const old = await create({ models: ['base'] })
    expect((await chat(old.key)).status).toBe(200)
    const { status, body } = await send('POST', `/v1/admin/keys/${old.id}/rotate`, 'root', { overlap: 3600 })
    expect(status).toBe(201)
    expect(body).toMatchObject({ owner: 'anna', models: ['base'], state: 'active' })
    expect([(await chat(old.key)).status, (await chat(body.key)).status]).toEqual([200, 200])
    // OpenAI's clients send no body when they have nothing to say.
    const next = (await send('POST', `/v1/admin/keys/${body.id}/rotate`)).body
    expect([(await chat(body.key)).status, (await chat(next.key)).status]).toEqual([401, 200])
    const states = (await send('GET', '/v1/admin/keys')).body.data.map(({ id, state, replaced_by: replacedBy }) => [id, state, replacedBy])
    expect(Object.fromEntries(states.map(([id, ...rest]) => [id, rest]))).toEqual({ [old.id]: ['active', body.id], [body.id]: ['revoked', next.id], [next.id]: ['active', null] })
    expect((await send('POST', `/v1/admin/keys/${body.id}/rotate`)).status).toBe(400)
  })

  it('are refused as soon as they are revoked', async () => {
    const { send, create, chat } = await setUp()
    const { id, key } = await create()
    expect((await chat(key)).status).toBe(200)
    expect((await send('DELETE', `/v1/admin/keys/${id}`)).body).toMatchObject({ id, state: 'revoked' })
    const { status, body } = await chat(key)
    expect(status).toBe(401)
    expect(body.error.message).toContain('was revoked')
    expect((await send('DELETE', '/v1/admin/keys/key_none')).body.error.code).toBe('key_not_found')
  })

  it('close a server that was open, for good', async () => {
    const { send, chat, database } = await setUp({})
    expect((await chat('none')).status).toBe(200)
    // Programs on this machine may change adapters, but may not make themselves its only administrators.
    const refused = await send('POST', '/v1/admin/keys', null, { owner: 'me' })
    expect([refused.status, refused.body.error.message]).toEqual([403, expect.stringContaining('drawbridge keys create')])
    const app = await buildTestApp([createTestHost(createScriptedInference(() => answerEvents(['x'])))], { config: { adminKeys: ['root'] }, database })
    disposers.push(async () => await app.app.close())
    const made = await app.app.inject({ method: 'POST', url: '/v1/admin/keys', headers: { 'x-api-key': 'root' }, payload: { owner: 'anna' } })
    await app.app.inject({ method: 'DELETE', url: `/v1/admin/keys/${made.json<Answer>().id}`, headers: { 'x-api-key': 'root' } })
    const { app: next } = await buildTestApp([createTestHost(createScriptedInference(() => answerEvents(['x'])))], { database })
    disposers.push(async () => await next.close())
    expect((await next.inject('/v1/models')).statusCode).toBe(401)
  })

  it.each([
    [{ owner: 'has space' }, 'owner'], [{}, 'owner'], [{ owner: 'a', scopes: [] }, 'scopes'], [{ owner: 'a', scopes: ['root'] }, 'scopes[0]'], [{ owner: 'a', models: [] }, 'models'],
    [{ owner: 'a', weight: 0 }, 'weight'], [{ owner: 'a', expires_at: 5 }, 'expires_at'], [{ owner: 'a', expires_at: now() + 60, expires_in: 60 }, 'expires_in'],
    [{ owner: 'a', highest_priority: 'batch' }, 'highest_priority'], [{ owner: 'a', name: 'a\nb' }, 'name'], [{ owner: 'a', key: 'mine' }, 'key']
  ])('are not made of %o', async (wish, param) => {
    const { send } = await setUp()
    const { status, body } = await send('POST', '/v1/admin/keys', 'root', wish)
    expect([status, body.error.param]).toEqual([400, param])
  })

  it('are nobody\'s where there is no database', async () => {
    const { app } = await buildTestApp([createTestHost(createScriptedInference(() => answerEvents(['x'])))], { config: { adminKeys: ['root'] } })
    disposers.push(async () => await app.close())
    const response = await app.inject({ method: 'GET', url: '/v1/admin/keys', headers: { 'x-api-key': 'root' } })
    expect([response.statusCode, response.json<Answer>().error.message]).toEqual([404, expect.stringContaining('--database-url')])
  })
})

describe('a key for some models', () => {
  it('sees and uses those, as if there were no others', async () => {
    const { send, create, chat } = await setUp({ adminKeys: ['root'] }, ['base', 'secret-project'])
    const { key } = await create({ models: ['base'], scopes: ['inference'] })
    const listed = [(await send('GET', '/v1/models', key)).body.data.map(({ id }) => id), (await send('GET', '/', key)).body['models'], (await send('GET', '/ready', key)).body['models']]
    expect(listed).toEqual([['base'], ['base'], [expect.objectContaining({ id: 'base' })]])
    // It is the only one that the key may use.
    expect((await send('POST', '/v1/tokenize', key, { prompt: 'Hi' })).status).toBe(200)
    const hidden = await chat(key, 'secret-project')
    const absent = await chat(key, 'no-such-model-')
    expect(hidden.status).toBe(404)
    expect(hidden.body.error).toEqual({ ...absent.body.error, message: absent.body.error.message.replace('no-such-model-', 'secret-project') })
    for (const alias of ['/models/secret-project', 'secret-project:x']) expect((await chat(key, alias)).status).toBe(404)
    const none = (await create({ models: ['x'] })).key
    expect((await chat(none)).body.error.message).toBe('The model "base" does not exist; there is none that your key may use')
    expect((await send('POST', '/v1/tokenize', none, { prompt: 'Hi' })).body.error.message).toContain('none of this server\'s models')
  })
})

describe('routes that are made public', () => {
  it('need no key, and /ready then tells no models', async () => {
    const { app } = await setUp({ adminKeys: ['root'], publicRoutes: ['ready', 'metrics'] })
    const ready = await app.inject('/ready')
    expect([ready.statusCode, ready.json()]).toEqual([200, { status: 'ready' }])
    expect((await app.inject('/metrics')).statusCode).toBe(200)
    expect((await app.inject('/v1/models')).statusCode).toBe(401)
  })
})
