import { describe, expect, it } from 'vitest'
import { auditedDoor } from '../../../src/cli/audited-door.ts'
import type { KeysDoor } from '../../../src/cli/keys-door.ts'
import type { ShownKey } from '../../../src/cli/shown-key.ts'
import { ServerError } from '../../../src/domain/errors.ts'

const shown = { id: 'key_abcdef123456', owner: 'anna', scopes: ['inference', 'metrics'] } as unknown as ShownKey
const created = { ...shown, key: 'sk-db-secret' }

function setUp (changes: Partial<KeysDoor> = {}) {
  const lines: Record<string, unknown>[] = []
  const door: KeysDoor = {
    place: 'a file',
    create: async () => created,
    list: async () => [shown],
    update: async () => shown,
    limitOwner: async () => ({}),
    rotate: async () => created,
    revoke: async () => shown,
    close: async () => {},
    ...changes
  }
  return { lines, door: auditedDoor(door, { append: (entry) => { lines.push(entry as Record<string, unknown>) } }, 'root') }
}

describe('what is done to keys at the database', () => {
  it('is in the audit log, without the key', async () => {
    const { lines, door } = setUp()
    expect(await door.create({ owner: 'anna' })).toBe(created)
    await door.update('key_zzzzzz123456', { name: 'x', limits: {} })
    await door.limitOwner('anna', {})
    await door.limitOwner('anna', { tokens_per_day: 5 })
    await door.rotate('key_zzzzzz123456', 60)
    await door.revoke('key_abcdef123456')
    await door.list(undefined)
    const who = { outcome: 'done', command: 'keys', user: 'root', errorCode: null }
    expect(lines.map(({ time, ...others }) => ({ ...others, isTimed: Date.parse(String(time)) > 0 }))).toEqual([
      { event: 'key.create', ...who, owner: 'anna', scopes: 'inference metrics', keyId: 'key_abcdef123456', prefix: 'sk-db-abcdef123456', isTimed: true },
      { event: 'key.update', ...who, keyId: 'key_zzzzzz123456', prefix: 'sk-db-zzzzzz123456', members: 'name limits', isTimed: true },
      { event: 'owner.limit', ...who, owner: 'anna', isTimed: true },
      { event: 'key.rotate', ...who, keyId: 'key_zzzzzz123456', prefix: 'sk-db-zzzzzz123456', replacedBy: 'key_abcdef123456', isTimed: true },
      { event: 'key.revoke', ...who, keyId: 'key_abcdef123456', prefix: 'sk-db-abcdef123456', isTimed: true }
    ])
    expect(JSON.stringify(lines)).not.toContain('secret')
  })

  it('is there also when it fails', async () => {
    const error = new ServerError('key_not_found', 'There is no such key')
    const { lines, door } = setUp({ revoke: async () => { throw error } })
    await expect(door.revoke('key_abcdef123456')).rejects.toBe(error)
    await expect(door.revoke('sk-db-whole-key-in-the-place-of-an-id')).rejects.toBe(error)
    expect(lines).toMatchObject([
      { event: 'key.revoke', outcome: 'failed', errorCode: 'key_not_found', keyId: 'key_abcdef123456' },
      { event: 'key.revoke', outcome: 'failed', errorCode: 'key_not_found' }
    ])
    expect(JSON.stringify(lines)).not.toContain('whole-key')
  })
})
