import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { AdapterLibrary } from '../../../src/adapters/adapter-library.ts'
import { newKeySchema } from '../../../src/access/keys/api-key.ts'
import { KeyStore } from '../../../src/access/keys/key-store.ts'
import { createSecretKey } from '../../../src/access/keys/secret-key.ts'
import { type Scope, scopes } from '../../../src/domain/scopes.ts'
import { migrate } from '../../../src/access/storage/migrate.ts'
import { SqliteDatabase } from '../../../src/access/storage/sqlite-database.ts'
import { createModelCatalogue } from '../../../src/models/catalogue.ts'
import { neverAborted } from '../../support/generation.ts'
import { createScriptedRegistry, loadRequest } from '../../support/scripted-adapter-host.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

interface Entry {
  /** Each of them is enough, and so is `admin`. */
  readonly needs: readonly Scope[] | 'any' | 'public'
  readonly body?: object
  /** Whether it takes a form with a file. */
  readonly form?: true
  /** What a key gets that may use neither the model nor the adapter which the request names; null where it names none. */
  readonly wrongModel: 403 | 404 | null
  /** What a key of another owner gets for an object of this one; null where there is none. */
  readonly otherOwner: 404 | null
}

const messages = [{ role: 'user', content: 'Hi' }]
const inference = { needs: ['inference'] } as const
const seeing = { needs: ['inference', 'models'], otherOwner: null } as const
const runs = (body: object): Entry => ({ ...inference, body: { model: 'base', ...body }, wrongModel: 404, otherOwner: null })
const owned = (body?: object): Entry => ({ ...inference, ...(body === undefined ? {} : { body }), wrongModel: null, otherOwner: 404 })
const admin = (body?: object): Entry => ({ needs: ['admin'], ...(body === undefined ? {} : { body }), wrongModel: null, otherOwner: null })
const seesAdapters = (wrongModel: 404 | null): Entry => ({ needs: ['inference', 'models', 'adapters'], wrongModel, otherOwner: null })
const changesAdapters = (wrongModel: 403 | 404, body?: object): Entry => ({ needs: ['adapters'], ...(body === undefined ? {} : { body }), wrongModel, otherOwner: null })

const documentation: Entry = { needs: 'public', wrongModel: null, otherOwner: null }

/** What is not supported at all, which has words of its own. */
const unsupported: readonly string[] = ['POST /v1/responses/compact', 'GET /docs/yaml']

/** Every route. Parameters stand for things of the owner `ours`: a response, a conversation, its item, a key. */
const table: Readonly<Record<string, Entry>> = {
  'POST /v1/chat/completions': runs({ messages }),
  'POST /v1/completions': runs({ prompt: 'Hi' }),
  'POST /v1/responses': runs({ input: 'Hi' }),
  'POST /v1/responses/input_tokens': runs({ input: 'Hi' }),
  'POST /v1/responses/compact': { ...inference, body: {}, wrongModel: null, otherOwner: null },
  'GET /v1/responses/:id': owned(),
  'GET /v1/responses/:id/input_items': owned(),
  'POST /v1/responses/:id/cancel': owned(),
  'DELETE /v1/responses/:id': owned(),
  'POST /v1/conversations': { ...inference, body: {}, wrongModel: null, otherOwner: null },
  'GET /v1/conversations/:id': owned(),
  'POST /v1/conversations/:id': owned({ metadata: {} }),
  'GET /v1/conversations/:id/items': owned(),
  'POST /v1/conversations/:id/items': owned({ items: messages }),
  'GET /v1/conversations/:id/items/:item': owned(),
  'DELETE /v1/conversations/:id/items/:item': owned(),
  'DELETE /v1/conversations/:id': owned(),
  'POST /v1/messages': runs({ messages, max_tokens: 5 }),
  'POST /v1/messages/count_tokens': runs({ messages }),
  'POST /v1/embeddings': runs({ input: 'Hi' }),
  'POST /v1/rerank': runs({ query: 'Hi', documents: ['a'] }),
  'POST /v2/rerank': runs({ query: 'Hi', documents: ['a'] }),
  'POST /rerank': runs({ query: 'Hi', documents: ['a'] }),
  'POST /v1/tokenize': runs({ prompt: 'Hi' }),
  'POST /tokenize': runs({ content: 'Hi' }),
  'POST /v1/detokenize': runs({ tokens: [1] }),
  'POST /detokenize': runs({ tokens: [1] }),
  'POST /v1/files': { ...inference, form: true, wrongModel: null, otherOwner: null },
  'GET /v1/files': { ...inference, wrongModel: null, otherOwner: null },
  'GET /v1/files/:id': owned(),
  'GET /v1/files/:id/content': owned(),
  'DELETE /v1/files/:id': owned(),
  'POST /v1/batches': owned({ input_file_id: ':id', endpoint: '/v1/chat/completions', completion_window: '24h' }),
  'GET /v1/batches': { ...inference, wrongModel: null, otherOwner: null },
  'GET /v1/batches/:id': owned(),
  'POST /v1/batches/:id/cancel': owned(),
  'GET /v1/models': { ...seeing, wrongModel: null },
  'GET /v1/models/*': { ...seeing, wrongModel: 404 },
  'GET /': { ...seeing, wrongModel: null },
  'GET /v1': { ...seeing, wrongModel: null },
  'GET /v1/adapters': seesAdapters(null),
  'GET /v1/adapters/*': seesAdapters(404),
  'GET /lora-adapters': seesAdapters(null),
  'POST /v1/adapters': changesAdapters(403, { name: 'pirate', source: '10', model: 'base', replace: true }),
  'POST /v1/load_lora_adapter': changesAdapters(403, { lora_name: 'pirate', lora_path: '10', model: 'base', load_inplace: true }),
  'POST /v1/unload_lora_adapter': changesAdapters(404, { lora_name: 'pirate' }),
  'DELETE /v1/adapters/*': changesAdapters(404),
  'POST /lora-adapters': changesAdapters(403, []),
  'GET /v1/admin/keys': admin(),
  'POST /v1/admin/keys': admin({ owner: 'somebody' }),
  'GET /v1/admin/keys/:id': admin(),
  'POST /v1/admin/keys/:id': admin({ name: 'x' }),
  'POST /v1/admin/keys/:id/rotate': admin({}),
  'DELETE /v1/admin/keys/:id': admin(),
  'GET /v1/admin/usage': admin(),
  'GET /v1/admin/limits': admin(),
  'GET /v1/admin/owners/:owner/limits': admin(),
  'POST /v1/admin/owners/:owner/limits': admin({ limits: {} }),
  'GET /v1/limits': { needs: 'any', wrongModel: null, otherOwner: null },
  'GET /v1/usage': { needs: 'any', wrongModel: null, otherOwner: null },
  'GET /health': { needs: 'public', wrongModel: null, otherOwner: null },
  'GET /ready': { needs: 'any', wrongModel: null, otherOwner: null },
  ...Object.fromEntries([
    '/openapi.json', '/docs', '/docs/json', '/docs/yaml', '/docs/static/index.html', '/docs/static/swagger-initializer.js', '/docs/static/*'
  ].map((url) => [`GET ${url}`, documentation])),
  'GET /metrics': { needs: ['metrics'], wrongModel: null, otherOwner: null }
}

const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-routes-'))
const found: string[] = []
let database: SqliteDatabase
let store: KeyStore
let app: FastifyInstance
let disposeRegistry: () => Promise<void>
let load: () => Promise<unknown>

beforeAll(async () => {
  database = new SqliteDatabase(path.join(folder, 'keys.db'), { warn: () => {} })
  await migrate(database)
  store = new KeyStore(database)
  const hosts = ['base', 'hidden'].map((id) => createTestHost(createScriptedInference(() => answerEvents(['x'])), { id, root: `/models/${id}.gguf` }))
  const { registry, dispose } = await createScriptedRegistry({ model: 'base' })
  disposeRegistry = dispose
  load = async () => await registry.load(loadRequest('pirate', '10', { ifExists: 'replace' }), neverAborted)
  const adapters = new AdapterLibrary({ catalogue: createModelCatalogue(hosts), registries: [registry], resolveReference: (reference) => reference })
  app = (await buildTestApp(hosts, { adapters, database, onRoute: (method, url) => found.push(`${method} ${url}`) })).app
})

afterAll(async () => {
  await app.close()
  await disposeRegistry()
  await database.close()
  rmSync(folder, { recursive: true })
})

const create = async (wish: Partial<Parameters<typeof newKeySchema.parse>[0] & object> = {}) => await store.create(newKeySchema.parse({ owner: 'ours', scopes: ['admin'], ...wish }))
const bearer = (key: string) => ({ authorization: `Bearer ${key}` })

async function send (route: string, key: string | null) {
  const [method, pattern = ''] = route.split(' ') as ['GET' | 'POST' | 'DELETE', string]
  const { body, form } = table[route]!
  const payload = form === true ? upload.payload : body === undefined ? undefined : JSON.parse(await fill(JSON.stringify(body))) as object
  const headers = { ...key === null ? {} : bearer(key), ...form === true ? upload.headers : {} }
  const response = await app.inject({ method, url: await fill(pattern), headers, ...(payload === undefined ? {} : { payload }) })
  return { status: response.statusCode, body: String(response.headers['content-type']).startsWith('application/json') ? response.json<ErrorBody>() : null }
}

interface ErrorBody {
  readonly type?: string
  readonly error?: { readonly code?: string, readonly type: string, readonly message: string }
}

const request = { custom_id: 'a', method: 'POST', url: '/v1/chat/completions', body: { model: 'base', messages } }
const upload = {
  headers: { 'content-type': 'multipart/form-data; boundary=x' },
  payload: `--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--x\r\ncontent-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n${JSON.stringify(request)}\r\n--x--\r\n`
}

/** A path or a body with things of `ours` in the place of its parameters; they are made anew, since some routes remove them. */
async function fill (pattern: string): Promise<string> {
  if (!/:id|:item|\*/.test(pattern)) return pattern
  const ours = bearer((await create()).secret)
  const post = async (url: string, payload: object) => (await app.inject({ method: 'POST', url, payload, headers: ours })).json<{ id: string, data?: readonly { id: string }[] }>()
  if (pattern.includes('/owners/')) return pattern.replace(':owner', 'anna')
  if (pattern.includes('/keys/')) return pattern.replace(':id', (await create({ owner: 'theirs' })).key.id)
  if (pattern.includes('/files/') || pattern.includes('/batches/') || pattern.includes('input_file_id')) {
    const file = (await app.inject({ method: 'POST', url: '/v1/files', ...upload, headers: { ...ours, ...upload.headers } })).json<{ id: string }>().id
    if (!pattern.includes('/batches/')) return pattern.replace(':id', file)
    return pattern.replace(':id', (await post('/v1/batches', { input_file_id: file, endpoint: '/v1/chat/completions', completion_window: '24h' })).id)
  }
  if (pattern.includes('/responses/')) return pattern.replace(':id', (await post('/v1/responses', { model: 'base', input: 'Hi' })).id)
  if (pattern.includes('/static/')) return pattern.replace('*', 'swagger-ui.css')
  if (pattern.includes('/models/')) return pattern.replace('*', 'base')
  if (pattern.includes('/adapters/')) {
    await load()
    return pattern.replace('*', 'pirate')
  }
  const { id } = await post('/v1/conversations', {})
  const { data = [] } = await post(`/v1/conversations/${id}/items`, { items: messages })
  return pattern.replace(':item', data[0]!.id).replace(':id', id)
}

const isShapedFor = (route: string, body: ErrorBody | null): boolean =>
  route.includes('/v1/messages') ? body?.type === 'error' && body.error !== undefined : typeof body?.error?.code === 'string' || typeof body?.error?.code === 'number'

describe('the table of routes', () => {
  it('has every route, and no other', () => {
    const routes = found.filter((route) => !route.startsWith('HEAD '))
    expect(routes.filter((route) => !Object.hasOwn(table, route))).toEqual([])
    expect(Object.keys(table).filter((route) => !routes.includes(route))).toEqual([])
    expect(routes.length).toBeGreaterThan(40)
  })
})

describe.each(Object.entries(table))('%s', (route, { needs, wrongModel, otherOwner }) => {
  const isOpen = needs === 'public'

  it(isOpen ? 'lets everybody in' : 'refuses those without a key, or with one that is none', async () => {
    const { secret: expired, key } = await create({ expiresAt: Date.now() + 60_000 })
    await database.query('UPDATE drawbridge_api_keys SET expires_at = ? WHERE id = ?', [Date.now() - 1, key.id])
    const { secret: revoked, key: { id } } = await create()
    await store.revoke(id)
    for (const wrong of [null, 'sk-wrong', createSecretKey().secret, expired, revoked]) {
      const { status, body } = await send(route, wrong)
      expect(status).toBe(!isOpen ? 401 : unsupported.includes(route) ? 404 : route.endsWith('/index.html') ? 302 : 200)
      if (!isOpen) expect(isShapedFor(route, body)).toBe(true)
    }
  })

  it.each(scopes)('takes the scope %s for what it is', async (scope) => {
    if (route.includes('lora_adapter') || route.includes('DELETE /v1/adapters')) await load()
    const { secret } = await create({ scopes: [scope] })
    const { status, body } = await send(route, secret)
    if (typeof needs === 'string' || scope === 'admin' || needs.includes(scope)) {
      expect(status).not.toBe(401)
      expect(status).not.toBe(403)
      if (!unsupported.includes(route)) expect(status).not.toBe(404)
    } else {
      expect(status).toBe(403)
      expect(isShapedFor(route, body)).toBe(true)
    }
  })

  if (wrongModel !== null) {
    it('does not know a model that the key is not for', async () => {
      if (route.includes('lora_adapter')) await load()
      const { secret } = await create({ models: ['hidden'], adapters: ['nothing*'] })
      const { status, body } = await send(route, secret)
      expect(status).toBe(wrongModel)
      expect(isShapedFor(route, body)).toBe(true)
    })
  }

  if (otherOwner !== null) {
    it('does not know what is another owner\'s', async () => {
      const { status, body } = await send(route, (await create({ owner: 'theirs' })).secret)
      expect(status).toBe(otherOwner)
      expect(body?.error?.code).toMatch(/_not_found$/)
    })
  }
})
