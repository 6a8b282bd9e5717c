import { afterEach, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { createStaticKeys } from '../../../src/access/static-keys.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const apps: FastifyInstance[] = []
afterEach(async () => { for (const app of apps.splice(0)) await app.close() })

const nobody = { authorization: undefined, xApiKey: undefined, address: '10.0.0.1', isDirect: true, user: undefined }

describe('static keys', () => {
  it('charge the address when there are none', () => {
    expect(createStaticKeys([]).identify({ ...nobody, authorization: 'Bearer whatever', user: 'somebody' }))
      .toEqual({ tenant: '10.0.0.1', weight: 1, priority: 'normal', highestPriority: 'interactive', isAdmin: false })
  })

  it('give each key a tenant of its own that does not tell the key', () => {
    const access = createStaticKeys(['secret-one', 'secret-two'])
    const { tenant: first, ...rights } = access.identify({ ...nobody, authorization: 'Bearer secret-one', user: 'somebody' })
    const { tenant: second } = access.identify({ ...nobody, xApiKey: 'secret-two' })
    expect(rights).toEqual({ weight: 1, priority: 'normal', highestPriority: 'normal', isAdmin: false })
    expect(first).toMatch(/^key_[0-9a-f]{12}$/)
    expect(second).toMatch(/^key_[0-9a-f]{12}$/)
    expect(first).not.toBe(second)
    expect(createStaticKeys(['secret-two']).identify({ ...nobody, authorization: 'bearer  secret-two ' }).tenant).toBe(second)
  })

  describe('of tenants', () => {
    const owner = { name: 'support', keys: ['k-1', 'k-2'], weight: 3, priority: 'interactive', highestPriority: 'interactive', namesUsers: false, isAdmin: false } as const
    const access = createStaticKeys(['other'], [owner, { ...owner, name: 'gateway', keys: ['k-3'], namesUsers: true }])
    const tenantOf = (key: string, user?: string): string => access.identify({ ...nobody, xApiKey: key, user }).tenant

    it('charge their owner, with its weight and class', () => {
      expect(access.identify({ ...nobody, xApiKey: 'k-1', user: 'somebody' })).toEqual({ tenant: 'support', weight: 3, priority: 'interactive', highestPriority: 'interactive', isAdmin: false })
      expect(tenantOf('k-2')).toBe('support')
      expect(tenantOf('other')).toMatch(/^key_/)
    })

    it('let some name the user who is charged', () => {
      expect(tenantOf('k-3', 'anna')).toBe('gateway/anna')
      expect(tenantOf('k-3', '')).toBe('gateway')
      expect(tenantOf('k-3')).toBe('gateway')
      for (const user of ['a\u00e9', 'x'.repeat(257)]) {
        expect(() => tenantOf('k-3', user)).toThrow(expect.objectContaining({ code: 'invalid_value', param: 'x-llm-d-inference-fairness-id' }))
      }
    })
  })

  it('make admins of those that are admin keys, or of a tenant that is one', () => {
    const owner = { name: 'ops', keys: ['k-ops'], weight: 1, priority: 'normal', highestPriority: 'normal', namesUsers: false, isAdmin: true } as const
    const access = createStaticKeys(['plain', 'both'], [owner], ['k-admin', 'both'])
    const isAdmin = (key: string): boolean => access.identify({ ...nobody, xApiKey: key }).isAdmin
    expect(['plain', 'both', 'k-admin', 'k-ops'].map(isAdmin)).toEqual([false, true, true, true])
    expect(createStaticKeys(['plain']).identify({ ...nobody, address: '127.0.0.1', xApiKey: 'plain' }).isAdmin).toBe(false)
  })

  it.each([
    ['127.0.0.1', true, true], ['127.9.9.9', true, true], ['::1', true, true], ['::ffff:127.0.0.1', true, true],
    ['10.0.0.1', true, false], ['::ffff:10.0.0.1', true, false], ['127.0.0.1', false, false]
  ])('make admins of %s (directly: %s) where there are none: %s', (address, isDirect, isAdmin) => {
    expect(createStaticKeys([]).identify({ ...nobody, address, isDirect }).isAdmin).toBe(isAdmin)
  })

  it.each([
    ['no key', nobody],
    ['a wrong key', { ...nobody, authorization: 'Bearer secret' }],
    ['a longer key', { ...nobody, authorization: 'Bearer secret-one-and-more' }],
    ['another scheme', { ...nobody, authorization: 'Basic secret-one' }],
    ['the bare key', { ...nobody, authorization: 'secret-one' }],
    ['an empty key', { ...nobody, xApiKey: '' }],
    ['a wrong bearer beside the right x-api-key', { ...nobody, authorization: 'Bearer no', xApiKey: 'secret-one' }]
  ])('refuse %s', (_name, credentials) => {
    expect(() => createStaticKeys(['secret-one']).identify(credentials)).toThrow(expect.objectContaining({ code: 'invalid_api_key' }))
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
