import { describe, expect, it } from 'vitest'
import { type ApiKey, newKeySchema } from '../../../../src/access/keys/api-key.ts'
import type { FoundKey } from '../../../../src/access/keys/key-store.ts'
import { KeyRing } from '../../../../src/access/keys/key-ring.ts'
import { createSecretKey, digestOf } from '../../../../src/access/keys/secret-key.ts'
import { ServerError } from '../../../../src/domain/errors.ts'
import { createGate } from '../../../support/scripted-adapter-host.ts'

/** A ring over one key in a store that counts what it is asked. */
function setUp (changes: Partial<ApiKey> = {}) {
  const { secret, id } = createSecretKey()
  const rows = new Map<string, { key: FoundKey, digest: string }>()
  rows.set(id, { key: { ...newKeySchema.parse({ owner: 'a' }), id, createdAt: 0, revokedAt: null, lastUsedAt: null, replacedBy: null, firstId: null, ownerLimits: {}, ...changes }, digest: digestOf(secret) })
  const state = { now: 0, wall: 1_000_000, reads: 0, anyReads: 0, any: true, uses: [] as number[], warnings: 0, isDown: false, gate: Promise.resolve() }
  const down = () => { if (state.isDown) throw new ServerError('storage_unavailable', 'down') }
  const ring = new KeyRing({
    store: {
      async findDigest (wanted) {
        state.reads++
        const row = rows.get(wanted) ?? null
        await state.gate
        down()
        return row
      },
      async hasAny () {
        state.anyReads++
        down()
        return state.any
      },
      async noteUse () {
        down()
        state.uses.push(state.now)
      }
    },
    logger: { warn: () => { state.warnings++ } },
    now: () => state.now,
    wallClock: () => state.wall
  })
  const revoke = (): void => { rows.set(id, { key: { ...rows.get(id)!.key, revokedAt: state.wall }, digest: digestOf(secret) }) }
  return { secret, id, ring, state, revoke, rows }
}

const revoked = { code: 'invalid_api_key', message: expect.stringContaining('was revoked') as string }

describe('the key ring', () => {
  it('asks the database for a key every five seconds', async () => {
    const { secret, id, ring, state } = setUp()
    expect(await Promise.all([ring.find(secret), ring.find(secret)])).toMatchObject([{ id }, { id }])
    state.now = 4999
    await ring.find(secret)
    expect(state.reads).toBe(1)
    state.now = 5000
    await ring.find(secret)
    expect(state.reads).toBe(2)
  })

  it('finds keys by their ids, and those that they were rotated to', async () => {
    const { ring, id, rows, state } = setUp({ replacedBy: 'key_next', revokedAt: 1 })
    expect(await ring.findSuccessor('key_unknown')).toBeNull()
    rows.set('key_next', { key: { ...rows.get(id)!.key, id: 'key_next', replacedBy: null, revokedAt: null, expiresAt: 2_000_000 }, digest: '' })
    ring.forget()
    expect(await ring.findSuccessor(id)).toMatchObject({ id: 'key_next' })
    state.wall = 2_000_000
    await expect(ring.findSuccessor(id)).rejects.toThrow('has expired')
    const other = setUp()
    other.revoke()
    await expect(other.ring.findSuccessor(other.id)).rejects.toMatchObject(revoked)
  })

  it('does not ask it for what cannot be a key, and remembers what is none', async () => {
    const { secret, ring, state, rows, id } = setUp()
    for (const wrong of ['', 'sk-other', `${secret}x`, `${secret.slice(0, -1)}${secret.endsWith('x') ? 'y' : 'x'}`]) expect(await ring.find(wrong)).toBeNull()
    expect(state.reads).toBe(0)
    const { secret: unknown } = createSecretKey()
    expect([await ring.find(unknown), await ring.find(unknown)]).toEqual([null, null])
    expect(state.reads).toBe(1)
    // The id of one key with the secret of another.
    rows.set(id, { ...rows.get(id)!, digest: digestOf(unknown) })
    expect(await ring.find(secret)).toBeNull()
  })

  it('refuses keys that are revoked or have expired, also those that it knows', async () => {
    const { secret, ring, state } = setUp({ expiresAt: 1_000_500 })
    await ring.find(secret)
    state.wall = 1_000_500
    await expect(ring.find(secret)).rejects.toMatchObject({ code: 'invalid_api_key', message: expect.stringContaining('has expired') })
    const ahead = setUp({ revokedAt: 1_000_001 })
    await expect(ahead.ring.find(ahead.secret)).rejects.toMatchObject(revoked)
    const later = setUp({ revokedAt: 1_000_001, replacedBy: 'key_2' })
    await later.ring.find(later.secret)
    later.state.wall++
    await expect(later.ring.find(later.secret)).rejects.toMatchObject(revoked)
  })

  it('sees at once what it is told to forget, even while it is reading', async () => {
    const { secret, ring, state, revoke } = setUp()
    const { opened, open } = createGate()
    state.gate = opened
    const early = ring.find(secret)
    revoke()
    ring.forget()
    const late = ring.find(secret)
    open()
    await early
    await expect(late).rejects.toMatchObject(revoked)
    await expect(ring.find(secret)).rejects.toMatchObject(revoked)
    expect(state.reads).toBe(2)
  })

  it('lets known keys in for ten minutes while the database gives no answer, and nobody else', async () => {
    const { secret, id, ring, state } = setUp()
    await ring.find(secret)
    state.isDown = true
    state.now = 599_999
    expect(await ring.find(secret)).toMatchObject({ id })
    await expect(ring.find(createSecretKey().secret)).rejects.toMatchObject({ code: 'storage_unavailable' })
    state.now = 600_000
    await expect(ring.find(secret)).rejects.toMatchObject({ code: 'storage_unavailable' })
  })

  it('hands over the use of a key once in a minute, and goes on when that fails', async () => {
    const { secret, ring, state } = setUp()
    for (const now of [0, 30_000, 59_999, 60_000, 61_000]) {
      state.now = now
      await ring.find(secret)
    }
    expect(state.uses).toEqual([0, 60_000])
    state.isDown = true
    state.now = 120_000
    await ring.find(secret)
    await Promise.resolve()
    expect(state.warnings).toBe(1)
  })

  it('finds out that there are keys, and never thinks again that there are none', async () => {
    const { ring, state } = setUp()
    state.any = false
    expect(await Promise.all([ring.hasAny(), ring.hasAny()])).toEqual([false, false])
    expect(await ring.hasAny()).toBe(false)
    expect(state.anyReads).toBe(1)
    state.any = true
    ring.forget()
    expect(await ring.hasAny()).toBe(true)
    state.any = false
    state.isDown = true
    state.now = 1_000_000
    expect(await ring.hasAny()).toBe(true)
    expect(state.anyReads).toBe(2)
  })

  it('does not take silence for "there are none"', async () => {
    const { ring, state } = setUp()
    state.any = false
    await ring.hasAny()
    state.isDown = true
    state.now = 5000
    await expect(ring.hasAny()).rejects.toMatchObject({ code: 'storage_unavailable' })
  })
})
