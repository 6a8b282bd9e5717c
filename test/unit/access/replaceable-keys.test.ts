import { describe, expect, it } from 'vitest'
import { createAccess } from '../../../src/access/access.ts'
import { createConfiguredKeys } from '../../../src/access/configured-keys.ts'
import { newKeySchema } from '../../../src/access/keys/api-key.ts'
import { ReplaceableKeys } from '../../../src/access/replaceable-keys.ts'
import { configSchema } from '../../../src/config/config.ts'

const credentials = (key: string) => ({ authorization: `Bearer ${key}`, xApiKey: undefined, address: '127.0.0.1', isDirect: true, user: undefined })
const configure = (settings: object) => createConfiguredKeys(configSchema.parse(settings))
const stored = { ...newKeySchema.parse({ owner: 'ours' }), id: 'key_1', createdAt: 0, revokedAt: null, lastUsedAt: null, replacedBy: null, firstId: null, ownerLimits: {} }

describe('keys of the settings that change while the server runs', () => {
  it('let in whoever has a new one, and nobody with an old one', async () => {
    const keys = new ReplaceableKeys(configure({ apiKeys: ['old', 'kept'] }))
    const access = createAccess(keys, null)
    expect(await access.identify(credentials('old'))).toMatchObject({ scopes: ['inference', 'models', 'metrics'] })
    await expect(access.identify(credentials('new'))).rejects.toThrow('Incorrect API key')
    keys.replace(configure({ apiKeys: ['kept'], tenants: [{ name: 'team', keys: ['new'], weight: 3, admin: true }] }))
    await expect(access.identify(credentials('old'))).rejects.toThrow('Incorrect API key')
    expect(await access.identify(credentials('kept'))).toMatchObject({ weight: 1 })
    const team = await access.identify(credentials('new'))
    expect(team).toMatchObject({ tenant: 'team', weight: 3, scopes: ['admin'] })
    expect(await access.recall(team)).toEqual(team)
    keys.replace(configure({ tenants: [{ name: 'team', keys: ['new'], scopes: ['inference'], models: ['a*'], adapters: ['b'], limits: { concurrentRequests: 1 } }] }))
    expect(await access.identify(credentials('new'))).toMatchObject({ scopes: ['inference'], models: ['a*'], adapters: ['b'], limits: [{ subject: 'owner:team', limits: { concurrentRequests: 1 } }] })
    expect(access.configured()).toEqual([{ owner: 'team', keyId: null, limits: [{ subject: 'owner:team', limits: { concurrentRequests: 1 } }] }])
    keys.replace(configure({ apiKeys: ['kept'] }))
    await expect(access.recall(team)).rejects.toMatchObject({ code: 'invalid_api_key' })
  })

  it('leave those of the database as they are', async () => {
    const keys = new ReplaceableKeys(configure({ apiKeys: ['static'] }))
    const access = createAccess(keys, { find: async (key) => key === 'stored' ? stored : null, findSuccessor: async () => null, hasAny: async () => true })
    expect(await access.identify(credentials('stored'))).toMatchObject({ tenant: 'ours', keyId: 'key_1' })
    keys.replace(configure({}))
    expect(keys.count).toBe(0)
    expect(await access.identify(credentials('stored'))).toMatchObject({ tenant: 'ours', keyId: 'key_1' })
    await expect(access.identify(credentials('static'))).rejects.toThrow('Incorrect API key')
  })
})
