import { afterEach, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { createStaticKeys, plainScopes } from '../../../src/access/static-keys.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const apps: FastifyInstance[] = []
afterEach(async () => { for (const app of apps.splice(0)) await app.close() })

describe('static keys', () => {
  it('give each key a tenant of its own that does not tell the key', () => {
    const keys = createStaticKeys(['secret-one', 'secret-two'])
    const { name: first, ...rest } = keys.find('secret-one')!
    const { name: second } = keys.find('secret-two')!
    expect(rest).toEqual({ keys: ['secret-one'], weight: 1, priority: 'normal', highestPriority: 'normal', namesUsers: false, scopes: plainScopes, models: null, adapters: null, limits: {} })
    expect(first).toMatch(/^key_[0-9a-f]{12}$/)
    expect(second).toMatch(/^key_[0-9a-f]{12}$/)
    expect(first).not.toBe(second)
    expect(createStaticKeys(['secret-two']).find('secret-two')?.name).toBe(second)
  })

  it('find the tenant that has the key', () => {
    const owner = { name: 'support', keys: ['k-1', 'k-2'], weight: 3, priority: 'interactive', highestPriority: 'interactive', namesUsers: false, scopes: plainScopes, models: null, adapters: null, limits: {} } as const
    const keys = createStaticKeys(['other'], [owner])
    expect([keys.find('k-1'), keys.find('k-2')]).toEqual([owner, owner])
    expect(keys.find('other')?.name).toMatch(/^key_/)
    expect(keys.count).toBe(3)
    for (const wrong of ['k', 'k-1 ', 'k-11', '']) expect(keys.find(wrong)).toBeNull()
  })

  it('make admins of those that are admin keys, or of a tenant that is one', () => {
    const owner = { name: 'ops', keys: ['k-ops'], weight: 1, priority: 'normal', highestPriority: 'normal', namesUsers: false, scopes: ['admin'], models: null, adapters: null, limits: {} } as const
    const keys = createStaticKeys(['plain', 'both'], [owner], ['k-admin', 'both'])
    expect(['plain', 'both', 'k-admin', 'k-ops'].map((key) => keys.find(key)?.scopes)).toEqual([plainScopes, ['admin'], ['admin'], ['admin']])
  })
})

describe('a server with keys', () => {
  const setUp = async () => {
    const inference = createScriptedInference(() => answerEvents(['x']))
    const testApp = await buildTestApp([createTestHost(inference)], { config: { apiKeys: ['sk-right', 'sk-other'] } })
    apps.push(testApp.app)
    return { ...testApp, inference }
  }

  it.each([
    ['GET', '/v1/models'],
    ['GET', '/v1/models/test-model'],
    ['POST', '/v1/chat/completions'],
    ['POST', '/v1/completions'],
    ['POST', '/v1/tokenize'],
    ['POST', '/detokenize'],
    ['GET', '/ready'],
    ['GET', '/metrics'],
    ['GET', '/'],
    ['GET', '/unknown'],
    ['PUT', '/v1/models']
  ] as const)('keeps %s %s behind them', async (method, url) => {
    const { app } = await setUp()
    const response = await app.inject({ method, url, headers: { authorization: 'Bearer sk-wrong' } })
    expect(response.statusCode).toBe(401)
    expect(response.json()).toEqual({ error: { message: expect.stringContaining('Incorrect API key'), type: 'authentication_error', param: null, code: 'invalid_api_key' } })
    expect(response.headers['www-authenticate']).toBe('Bearer')
    expect(response.headers['x-request-id']).toMatch(/^req_/)
  })

  it('leaves /health open', async () => {
    const { app } = await setUp()
    expect((await app.inject('/health')).statusCode).toBe(200)
  })

  it('charges the key\'s owner', async () => {
    const { app, inference } = await setUp()
    const payload = { model: 'test-model', messages: [{ role: 'user', content: 'Hi' }] }
    await app.inject({ method: 'POST', url: '/v1/chat/completions', payload, headers: { authorization: 'Bearer sk-right' } })
    await app.inject({ method: 'POST', url: '/v1/chat/completions', payload, headers: { 'x-api-key': 'sk-other' } })
    const tenants = inference.requests.map(({ tenant }) => tenant)
    expect(new Set(tenants).size).toBe(2)
    expect(tenants.every((tenant) => /^key_[0-9a-f]{12}$/.test(tenant))).toBe(true)
  })

  it('never writes a key or a prompt to its log', async () => {
    const { app, logText } = await setUp()
    await app.inject({
      method: 'POST',
      url: '/v1/chat/completions?api_key=sk-right',
      payload: { model: 'test-model', messages: [{ role: 'user', content: 'private words' }] },
      headers: { authorization: 'Bearer sk-right' }
    })
    await app.inject({ method: 'POST', url: '/v1/chat/completions', payload: '{"private words"', headers: { authorization: 'Bearer sk-right', 'content-type': 'application/json' } })
    await app.inject({ method: 'GET', url: '/nothing?api_key=sk-right', headers: { 'x-api-key': 'sk-wrong' } })
    expect(logText()).toContain('request finished')
    expect(logText()).not.toMatch(/sk-(right|wrong)|private words/)
  })
})
