import { describe, expect, it } from 'vitest'
import { createConfiguredAccess } from '../../../src/access/configured-access.ts'
import { ReplaceableAccess } from '../../../src/access/replaceable-access.ts'
import { configSchema } from '../../../src/config/config.ts'

const credentials = (key: string) => ({ authorization: `Bearer ${key}`, xApiKey: undefined, address: '127.0.0.1', isDirect: true, user: undefined })
const configure = (settings: object) => createConfiguredAccess(configSchema.parse(settings))

describe('keys that change while the server runs', () => {
  it('let in whoever has a new one, and nobody with an old one', () => {
    const access = new ReplaceableAccess(configure({ apiKeys: ['old', 'kept'] }))
    expect(access.identify(credentials('old'))).toMatchObject({ isAdmin: false })
    expect(() => access.identify(credentials('new'))).toThrow('Incorrect API key')
    access.replace(configure({ apiKeys: ['kept'], tenants: [{ name: 'team', keys: ['new'], weight: 3, admin: true }] }))
    expect(() => access.identify(credentials('old'))).toThrow('Incorrect API key')
    expect(access.identify(credentials('kept'))).toMatchObject({ weight: 1 })
    expect(access.identify(credentials('new'))).toMatchObject({ tenant: 'team', weight: 3, isAdmin: true })
  })

  it('come with their advice', () => {
    const access = new ReplaceableAccess(configure({}))
    expect(access.adminAdvice).toContain('without API keys')
    access.replace(configure({ apiKeys: ['k'] }))
    expect(access.adminAdvice).toContain('the key is not one of')
  })
})
