import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { Database } from '../../../src/access/storage/database.ts'
import { migrate } from '../../../src/access/storage/migrate.ts'
import { SqliteDatabase } from '../../../src/access/storage/sqlite-database.ts'
import { AdapterLibrary } from '../../../src/adapters/adapter-library.ts'
import type { Config } from '../../../src/config/config.ts'
import { createModelCatalogue } from '../../../src/models/catalogue.ts'
import { patience } from '../../support/patience.ts'
import { createGate, createScriptedRegistry } from '../../support/scripted-adapter-host.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp, listen } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const disposers: (() => Promise<unknown>)[] = []
afterEach(async () => { for (const dispose of disposers.splice(0).reverse()) await dispose() })

const tenant: Config['tenants'][number] = { name: 'search', keys: ['key-of-search'], weight: 1, priority: 'normal', highestPriority: 'normal', namesUsers: false, admin: false, models: null, adapters: null, limits: {} }

async function setUp (config: Partial<Config> = { adminKeys: ['key-of-an-admin'], tenants: [tenant] }, database?: Database) {
  const lines: Record<string, unknown>[] = []
  const host = createTestHost(createScriptedInference(() => answerEvents(['a'])), { id: 'base' })
  const scripted = await createScriptedRegistry({ model: 'base' })
  disposers.push(async () => await scripted.dispose())
  const library = new AdapterLibrary({ catalogue: createModelCatalogue([host]), registries: [scripted.registry], resolveReference: (reference) => reference })
  const { app } = await buildTestApp([host], { config, adapters: library, ...(database === undefined ? {} : { database }), auditLog: { append: (entry) => { lines.push({ ...entry }) } } })
  disposers.push(async () => await app.close())
  const send = async (method: 'GET' | 'POST' | 'DELETE', url: string, payload?: object, key = 'key-of-an-admin') =>
    (await app.inject({ method, url, headers: { authorization: `Bearer ${key}`, 'x-request-id': 'r' }, ...(payload === undefined ? {} : { payload }) })).statusCode
  return { lines, send, app, library, gates: scripted.gates }
}

const common = { time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/), address: '127.0.0.1', requestId: 'r' }
const admin = { ...common, tenant: expect.stringMatching(/^key_[\da-f]{12}$/) }

describe('the audit log', () => {
  it('has every change of adapters, with who, what and how it went', async () => {
    const { lines, send } = await setUp()
    expect(await send('POST', '/v1/adapters', { name: 'pirate', source: '10' })).toBe(201)
    expect(await send('POST', '/v1/adapters', { name: 'pirate', source: '10 bad', replace: true })).toBe(400)
    expect(await send('POST', '/v1/load_lora_adapter', { lora_name: 'shout', lora_path: '11' })).toBe(200)
    expect(await send('POST', '/lora-adapters', [{ id: 0, scale: 0.5 }])).toBe(200)
    expect(await send('DELETE', '/v1/adapters/pirate')).toBe(200)
    expect(await send('POST', '/v1/unload_lora_adapter', { lora_name: 'shout' })).toBe(200)
    expect(await send('POST', '/v1/unload_lora_adapter', { lora_name: 'shout' })).toBe(404)
    const done = { ...admin, method: 'POST', outcome: 'done', status: 200, errorCode: null }
    expect(lines).toEqual([
      { ...done, event: 'adapter.load', adapter: 'pirate', model: 'base', source: '10', generation: 1, status: 201, route: '/v1/adapters' },
      { ...done, event: 'adapter.load', adapter: 'pirate', model: null, source: '10 bad', outcome: 'failed', status: 400, errorCode: 'invalid_adapter', route: '/v1/adapters' },
      { ...done, event: 'adapter.load', adapter: 'shout', model: null, source: '11', route: '/v1/load_lora_adapter' },
      { ...done, event: 'adapter.set-scales', scales: '0=0.5', route: '/lora-adapters' },
      { ...done, event: 'adapter.unload', adapter: 'pirate', model: 'base', generation: 1, method: 'DELETE', route: '/v1/adapters/*' },
      { ...done, event: 'adapter.unload', adapter: 'shout', model: null, route: '/v1/unload_lora_adapter' },
      { ...done, event: 'adapter.unload', adapter: 'shout', model: null, outcome: 'failed', status: 404, errorCode: 'adapter_not_found', route: '/v1/unload_lora_adapter' }
    ])
  })

  it('has those who were turned away, and no key', async () => {
    const { lines, send, app } = await setUp()
    expect(await send('POST', '/v1/adapters', { name: 'x', source: '10' }, 'key-of-search')).toBe(403)
    expect(await send('POST', '/v1/chat/completions', {}, 'key-of-nobody')).toBe(401)
    expect((await app.inject({ url: '/nowhere', headers: { 'x-request-id': 'r', traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00' } })).statusCode).toBe(401)
    const refused = { ...common, outcome: 'refused' }
    expect(lines).toEqual([
      { ...refused, event: 'adapter.load', tenant: 'search', method: 'POST', route: '/v1/adapters', status: 403, errorCode: 'permission_denied' },
      { ...refused, event: 'request.refused', tenant: null, method: 'POST', route: '/v1/chat/completions', status: 401, errorCode: 'invalid_api_key' },
      { ...refused, event: 'request.refused', tenant: null, method: 'GET', route: 'unknown', status: 401, errorCode: 'invalid_api_key', traceId: '0af7651916cd43dd8448eb211c80319c' }
    ])
    expect(JSON.stringify(lines)).not.toContain('key-of')
  })

  it('has the address of whom has gone meanwhile', async () => {
    const { lines, app, library, gates } = await setUp()
    const gate = createGate()
    gates.set('check 10', gate.opened)
    const { port } = await listen(app)
    const body = JSON.stringify({ name: 'pirate', source: '10' })
    const client = connect(port, '127.0.0.1')
    client.write(`POST /v1/adapters HTTP/1.1\r\nhost: x\r\nauthorization: Bearer key-of-an-admin\r\nx-request-id: r\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
    await vi.waitFor(() => expect(library.list()).toHaveLength(1), patience)
    client.destroy()
    await vi.waitFor(() => expect(lines).toHaveLength(1), patience)
    expect(lines).toEqual([{ ...admin, event: 'adapter.load', outcome: 'aborted', adapter: 'pirate', model: null, source: '10', method: 'POST', route: '/v1/adapters', status: 499, errorCode: null }])
    gate.open()
  })

  it('has no password that is part of an address', async () => {
    const { lines, send } = await setUp()
    await send('POST', '/v1/adapters', { name: 'x', source: 'https://user:marker@example.com/a.gguf?token=marker' })
    expect(lines).toEqual([expect.objectContaining({ event: 'adapter.load', source: 'https://example.com/a.gguf' })])
  })

  it('has refusals of what the path names', async () => {
    const { lines, send } = await setUp()
    expect(await send('DELETE', '/v1/adapters/pirate', undefined, 'key-of-search')).toBe(403)
    expect(await send('POST', '/v1/unload_lora_adapter', { lora_name: 'pirate' }, 'key-of-search')).toBe(403)
    expect(await send('POST', '/lora-adapters', [], 'key-of-search')).toBe(403)
    expect(lines).toEqual([
      expect.objectContaining({ event: 'adapter.unload', outcome: 'refused', adapter: 'pirate', tenant: 'search' }),
      expect.objectContaining({ event: 'adapter.unload', outcome: 'refused', tenant: 'search' }),
      expect.objectContaining({ event: 'adapter.set-scales', outcome: 'refused', tenant: 'search' })
    ])
  })

  it('has every change of keys, and none of them', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'drawbridge-audit-'))
    disposers.push(async () => await rm(folder, { recursive: true }))
    const database = new SqliteDatabase(path.join(folder, 'keys.db'), { warn: () => {} })
    await migrate(database)
    disposers.push(async () => await database.close())
    const { lines, send, app } = await setUp(undefined, database)
    const headers = { authorization: 'Bearer key-of-an-admin', 'x-request-id': 'r' }
    const make = async (url: string, payload: object) => (await app.inject({ method: 'POST', url, payload, headers })).json<{ id: string, key: string, prefix: string }>()
    const first = await make('/v1/admin/keys', { owner: 'anna', scopes: ['inference', 'models'] })
    const second = await make(`/v1/admin/keys/${first.id}/rotate`, {})
    expect(await send('DELETE', `/v1/admin/keys/${second.id}`)).toBe(200)
    expect(await send('DELETE', `/v1/admin/keys/${second.key}`)).toBe(404)
    expect(await send('POST', '/v1/admin/keys', { owner: 'anna' }, 'key-of-search')).toBe(403)
    expect(await send('GET', '/v1/admin/keys')).toBe(200)
    const done = { ...admin, method: 'POST', outcome: 'done', status: 201, errorCode: null }
    expect(lines).toEqual([
      { ...done, event: 'key.create', owner: 'anna', scopes: 'inference models', keyId: first.id, prefix: first.prefix, route: '/v1/admin/keys' },
      { ...done, event: 'key.rotate', keyId: first.id, prefix: first.prefix, replacedBy: second.id, route: '/v1/admin/keys/:id/rotate' },
      { ...done, event: 'key.revoke', keyId: second.id, prefix: second.prefix, method: 'DELETE', status: 200, route: '/v1/admin/keys/:id' },
      { ...done, event: 'key.revoke', method: 'DELETE', outcome: 'failed', status: 404, errorCode: 'key_not_found', route: '/v1/admin/keys/:id' },
      { ...done, event: 'key.create', outcome: 'refused', tenant: 'search', status: 403, errorCode: 'permission_denied', route: '/v1/admin/keys' }
    ])
    for (const { key } of [first, second]) expect(JSON.stringify(lines)).not.toContain(key)
  })

  it('has nothing of what changes nothing', async () => {
    const { lines, send } = await setUp()
    expect(await send('POST', '/v1/chat/completions', { model: 'base', messages: [{ role: 'user', content: 'Hi' }] })).toBe(200)
    expect(await send('POST', '/v1/chat/completions', { model: 'base' })).toBe(400)
    expect(await send('GET', '/v1/adapters')).toBe(200)
    expect(await send('GET', '/lora-adapters')).toBe(200)
    expect(lines).toEqual([])
  })
})
