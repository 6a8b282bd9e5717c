import { describe, expect, it } from 'vitest'
import { createAccess } from '../../../src/access/access.ts'
import { newKeySchema } from '../../../src/access/keys/api-key.ts'
import type { FoundKey } from '../../../src/access/keys/key-store.ts'
import { createStaticKeys, plainScopes } from '../../../src/access/static-keys.ts'
import { asTenantId } from '../../../src/domain/ids.ts'

const staticAccess = (...keys: Parameters<typeof createStaticKeys>) => createAccess(createStaticKeys(...keys), null)

const nobody = { authorization: undefined, xApiKey: undefined, address: '10.0.0.1', isDirect: true, user: undefined }

describe('callers', () => {
  it('are their addresses where there are no keys', async () => {
    expect(await staticAccess([]).identify({ ...nobody, authorization: 'Bearer whatever', user: 'somebody' })).toEqual({
      owner: '10.0.0.1', tenant: '10.0.0.1', keyId: null, isAnonymous: true, scopes: ['inference', 'models', 'metrics'], models: null, adapters: null, weight: 1, priority: 'normal', highestPriority: 'interactive', limits: []
    })
  })

  it.each([
    ['127.0.0.1', true, true], ['127.9.9.9', true, true], ['::1', true, true], ['::ffff:127.0.0.1', true, true],
    ['10.0.0.1', true, false], ['::ffff:10.0.0.1', true, false], ['127.0.0.1', false, false]
  ])('may change adapters from %s (directly: %s) where there are none: %s, but never keys', async (address, isDirect, mayChange) => {
    const { scopes } = await staticAccess([]).identify({ ...nobody, address, isDirect })
    expect(scopes.includes('adapters')).toBe(mayChange)
    expect(scopes).not.toContain('admin')
  })

  it('are the owners of their keys, with their weight and class', async () => {
    const owner = { name: 'support', keys: ['k-1'], weight: 3, priority: 'interactive', highestPriority: 'interactive', namesUsers: false, scopes: plainScopes, models: null, adapters: null, limits: { requestsPerMinute: 5 } } as const
    const access = staticAccess(['plain'], [owner], ['k-admin'])
    expect(await access.identify({ ...nobody, xApiKey: 'k-1', user: 'somebody' })).toEqual({
      owner: 'support', tenant: 'support', keyId: null, isAnonymous: false, scopes: ['inference', 'models', 'metrics'], models: null, adapters: null, weight: 3, priority: 'interactive', highestPriority: 'interactive', limits: [{ subject: 'owner:support', limits: { requestsPerMinute: 5 } }]
    })
    expect((await access.identify({ ...nobody, authorization: 'bearer  plain ' })).tenant).toMatch(/^key_/)
    expect((await access.identify({ ...nobody, authorization: 'Bearer k-admin' })).scopes).toEqual(['admin'])
    expect((await access.identify({ ...nobody, address: '127.0.0.1', xApiKey: 'plain' })).scopes).not.toContain('adapters')
  })

  it('may name the user who is charged where their key may', async () => {
    const owner = { name: 'gateway', keys: ['k-3'], weight: 1, priority: 'normal', highestPriority: 'normal', namesUsers: true, scopes: plainScopes, models: null, adapters: null, limits: {} } as const
    const tenantOf = async (user?: string): Promise<string> => (await staticAccess([], [owner]).identify({ ...nobody, xApiKey: 'k-3', user })).tenant
    expect([await tenantOf('anna'), await tenantOf(''), await tenantOf()]).toEqual(['gateway/anna', 'gateway', 'gateway'])
    for (const user of ['a\u00e9', 'x'.repeat(257)]) {
      await expect(tenantOf(user)).rejects.toMatchObject({ code: 'invalid_value', param: 'x-llm-d-inference-fairness-id' })
    }
  })

  it.each([
    ['no key', nobody],
    ['a wrong key', { ...nobody, authorization: 'Bearer secret' }],
    ['a longer key', { ...nobody, authorization: 'Bearer secret-one-and-more' }],
    ['another scheme', { ...nobody, authorization: 'Basic secret-one' }],
    ['the bare key', { ...nobody, authorization: 'secret-one' }],
    ['an empty key', { ...nobody, xApiKey: '' }],
    ['a wrong bearer beside the right x-api-key', { ...nobody, authorization: 'Bearer no', xApiKey: 'secret-one' }]
  ])('are refused with %s', async (_name, credentials) => {
    await expect(staticAccess(['secret-one']).identify(credentials)).rejects.toMatchObject({ code: 'invalid_api_key' })
  })
})

describe('callers with a key of the database', () => {
  const key: FoundKey = {
    ...newKeySchema.parse({ owner: 'anna', scopes: ['inference', 'adapters'], models: ['a*'], adapters: ['b'], weight: 2, priority: 'batch', namesUsers: true }),
    id: 'key_1',
    createdAt: 0,
    revokedAt: null,
    lastUsedAt: null,
    replacedBy: null,
    firstId: 'key_0',
    limits: { tokensPerDay: 'off', requestsPerMinute: 7 },
    ownerLimits: { tokensPerMonth: 1000, costPerDay: 'off' }
  }
  const ring = (hasAny: boolean) => ({ find: async (secret: string) => secret === 'stored' ? key : null, findSuccessor: async (id: string) => id === key.id ? key : null, hasAny: async () => hasAny })

  it('have what is said of it', async () => {
    const access = createAccess(createStaticKeys(['static']), ring(true), () => ({ tokensPerDay: 50, requestsPerMinute: 1, concurrentRequests: 2 }))
    expect(await access.identify({ ...nobody, xApiKey: 'stored', user: 'ben' })).toEqual({
      owner: 'anna', tenant: 'anna/ben', keyId: 'key_1', isAnonymous: false, scopes: ['inference', 'adapters'], models: ['a*'], adapters: ['b'], weight: 2, priority: 'batch', highestPriority: 'normal', limits: [{ subject: 'key:key_0', limits: { requestsPerMinute: 7, concurrentRequests: 2 } }, { subject: 'owner:anna', limits: { tokensPerMonth: 1000 } }]
    })
    expect(await access.identify({ ...nobody, xApiKey: 'static' })).toMatchObject({ keyId: null, limits: [{ limits: { tokensPerDay: 50, requestsPerMinute: 1, concurrentRequests: 2 } }] })
    await expect(access.identify({ ...nobody, xApiKey: 'other' })).rejects.toMatchObject({ code: 'invalid_api_key' })
  })

  it('are asked for one as soon as there is one', async () => {
    await expect(createAccess(createStaticKeys([]), ring(true)).identify(nobody)).rejects.toMatchObject({ code: 'invalid_api_key' })
    expect((await createAccess(createStaticKeys([]), ring(false)).identify(nobody)).isAnonymous).toBe(true)
  })
})

describe('callers who have left work behind', () => {
  const ring = (keys: readonly FoundKey[]) => ({ find: async () => null, findSuccessor: async (id: string) => keys.find((key) => key.id === id) ?? null, hasAny: async () => keys.length > 0 })
  const stored: FoundKey = { ...newKeySchema.parse({ owner: 'ours', models: ['a*'], weight: 2 }), id: 'key_1', createdAt: 0, revokedAt: null, lastUsedAt: null, replacedBy: null, firstId: null, limits: {}, ownerLimits: {} }

  it('have the rights that their key has now', async () => {
    const access = createAccess(createStaticKeys([]), ring([stored]))
    const identity = { owner: 'ours', tenant: asTenantId('ours/anna'), keyId: 'key_1', isAnonymous: false }
    expect(await access.recall(identity)).toMatchObject({ owner: 'ours', tenant: 'ours/anna', keyId: 'key_1', models: ['a*'], weight: 2, scopes: ['inference'] })
    await expect(access.recall({ ...identity, keyId: 'key_2' })).rejects.toMatchObject({ code: 'invalid_api_key' })
  })

  it('are found by the name of their keys in the settings, while there are any', async () => {
    const access = staticAccess(['plain'], [{ name: 'team', keys: ['k-1'], weight: 3, priority: 'interactive', highestPriority: 'interactive', namesUsers: false, scopes: ['admin'], models: null, adapters: null, limits: {} }])
    for (const key of ['plain', 'k-1']) {
      const caller = await access.identify({ ...nobody, xApiKey: key })
      expect(await access.recall(caller)).toEqual(caller)
      await expect(staticAccess(['other']).recall(caller)).rejects.toMatchObject({ code: 'invalid_api_key' })
    }
  })

  it('need no key where nobody does, and do where everybody does', async () => {
    const caller = await staticAccess([]).identify(nobody)
    expect(await staticAccess([]).recall(caller)).toEqual(caller)
    expect((await staticAccess([]).recall({ ...caller, owner: '127.0.0.1' })).scopes).not.toContain('adapters')
    await expect(staticAccess(['plain']).recall(caller)).rejects.toMatchObject({ code: 'invalid_api_key' })
    await expect(createAccess(createStaticKeys([]), ring([stored])).recall(caller)).rejects.toMatchObject({ code: 'invalid_api_key' })
  })
})
