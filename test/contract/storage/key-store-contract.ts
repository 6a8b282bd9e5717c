import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { newKeySchema } from '../../../src/access/keys/api-key.ts'
import { KeyRing } from '../../../src/access/keys/key-ring.ts'
import { OwnerLimits } from '../../../src/access/limits/owner-limits.ts'
import { KeyStore } from '../../../src/access/keys/key-store.ts'
import type { Database } from '../../../src/access/storage/database.ts'
import { migrate } from '../../../src/access/storage/migrate.ts'
import { type DatabaseFixture, silent } from './database-contract.ts'

const day = 24 * 60 * 60 * 1000

/** What the keys in every database do. */
export function keyStoreContract (name: string, setUp: () => Promise<DatabaseFixture>): void {
  describe(`keys in ${name}`, () => {
    const open: Database[] = []
    let fixture: DatabaseFixture
    let time = 0
    const connect = async (): Promise<KeyStore> => {
      const database = await fixture.connect()
      open.push(database)
      await migrate(database)
      return new KeyStore(database, () => time)
    }
    beforeEach(async () => {
      fixture = await setUp()
      time = 1_795_685_146_693
    })
    afterEach(async () => { for (const database of open.splice(0)) await database.close() })

    it('are kept as they were made, without their secrets', async () => {
      const store = await connect()
      expect(await store.hasAny()).toBe(false)
      const wish = newKeySchema.parse({
        owner: 'anna@example.com', name: 'laptop – „new“', scopes: ['inference', 'metrics'], models: ['llama-*'], adapters: ['support', '*-eu'], weight: 2.5, priority: 'batch', highestPriority: 'normal', namesUsers: true, expiresAt: time + day, limits: { tokensPerDay: 1_000_000, requestsPerMinute: 'off', costPerMonth: 0.5 }
      })
      const { secret, key } = await store.create(wish)
      expect(secret).toMatch(/^sk-db-[0-9A-Za-z]{50}$/)
      expect(key).toEqual({ ...wish, id: `key_${secret.slice(6, 18)}`, createdAt: time, revokedAt: null, lastUsedAt: null, replacedBy: null, firstId: null })
      expect(await store.hasAny()).toBe(true)
      expect(await (await connect()).list()).toEqual([key])
      expect(await store.get(key.id)).toEqual(key)
      const rows = await open[0]!.query('SELECT * FROM drawbridge_api_keys')
      expect(JSON.stringify(rows)).not.toContain(secret.slice(18))
    })

    it('are listed by owner, oldest first', async () => {
      const store = await connect()
      for (const owner of ['b', 'a', 'b']) {
        await store.create(newKeySchema.parse({ owner, name: String(time++) }))
      }
      expect((await store.list()).map(({ owner }) => owner)).toEqual(['b', 'a', 'b'])
      expect((await store.list('b')).map(({ owner }) => owner)).toEqual(['b', 'b'])
      expect(await store.list('nobody')).toEqual([])
    })

    it('are listed page by page, those of the same moment too', async () => {
      const store = await connect()
      for (let index = 0; index < 7; index++) {
        await store.create(newKeySchema.parse({ owner: index === 3 ? 'b' : 'a' }))
        if (index === 4) time++
      }
      const ids: string[] = []
      for (let page; page === undefined || page.length > 0;) {
        page = await store.list('a', { limit: 2, ...ids.length === 0 ? {} : { after: ids.at(-1) } })
        ids.push(...page.map(({ id }) => id))
      }
      expect(ids).toEqual((await store.list('a')).map(({ id }) => id))
      expect(ids).toHaveLength(6)
      await expect(store.list('a', { limit: 2, after: 'key_none' })).rejects.toMatchObject({ code: 'key_not_found' })
    })

    it('are changed in what is named, limit by limit, also by several at once', async () => {
      const [store, other] = [await connect(), await connect()]
      const { key } = await store.create(newKeySchema.parse({ owner: 'a', name: 'x', models: ['m'], limits: { tokensPerDay: 5, answerTokens: 6 } }))
      expect(await store.update(key.id, {})).toEqual(key)
      const changed = { ...key, name: 'y', scopes: ['models'], models: null, adapters: ['p'], weight: 2, limits: { answerTokens: 'off', requestsPerMinute: 9 } }
      expect(await store.update(key.id, { name: 'y', scopes: ['models'], models: null, adapters: ['p'], weight: 2, limits: { tokensPerDay: null, answerTokens: 'off', requestsPerMinute: 9 } })).toEqual(changed)
      expect(await store.get(key.id)).toEqual(changed)
      await Promise.all([store.update(key.id, { limits: { contextTokens: 7 } }), other.update(key.id, { limits: { concurrentRequests: 8 } })])
      expect((await store.get(key.id)).limits).toEqual({ answerTokens: 'off', requestsPerMinute: 9, contextTokens: 7, concurrentRequests: 8 })
      await expect(store.update('key_none', {})).rejects.toMatchObject({ code: 'key_not_found' })
    })

    it('are found with the limits of their owner', async () => {
      const store = await connect()
      const owners = new OwnerLimits(open[0]!)
      const { key } = await store.create(newKeySchema.parse({ owner: 'a' }))
      expect((await store.findDigest(key.id))?.key.ownerLimits).toEqual({})
      expect(await owners.get('a')).toEqual({})
      await Promise.all([owners.change('a', { tokensPerDay: 5 }), owners.change('a', { costPerDay: 0.25 }), owners.change('b', { tokensPerDay: 1 })])
      expect(await owners.change('a', { requestsPerMinute: 3, tokensPerDay: null })).toEqual({ costPerDay: 0.25, requestsPerMinute: 3 })
      expect((await store.findDigest(key.id))?.key).toEqual({ ...key, ownerLimits: { costPerDay: 0.25, requestsPerMinute: 3 } })
    })

    it('may ask for the class that they have, and none that is over already', async () => {
      const store = await connect()
      const { key } = await store.create(newKeySchema.parse({ owner: 'a', priority: 'interactive' }))
      expect(key.highestPriority).toBe('interactive')
      await expect(store.create(newKeySchema.parse({ owner: 'a', highestPriority: 'batch' }))).rejects.toMatchObject({ code: 'invalid_value', param: 'highest_priority' })
      await expect(store.create(newKeySchema.parse({ owner: 'a', expiresAt: time }))).rejects.toMatchObject({ code: 'invalid_value', param: 'expires_at' })
    })

    it('are revoked once', async () => {
      const store = await connect()
      const { key: { id } } = await store.create(newKeySchema.parse({ owner: 'a' }))
      expect((await store.revoke(id)).revokedAt).toBe(time)
      time += 1000
      expect((await store.revoke(id)).revokedAt).toBe(time - 1000)
      expect(await store.hasAny()).toBe(true)
      const attempts = [async () => await store.revoke('key_none'), async () => await store.get('key_none'), async () => await store.rotate('key_none', 0)]
      for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject({ code: 'key_not_found' })
    })

    it('are rotated to one that is as they were, while the old one goes on for a time', async () => {
      const store = await connect()
      const { secret, key } = await store.create(newKeySchema.parse({ owner: 'a', name: 'x', models: ['m'], weight: 3 }))
      time += 5000
      const { secret: newSecret, key: newKey } = await store.rotate(key.id, 60_000)
      expect(newSecret).not.toBe(secret)
      expect(newKey).toEqual({ ...key, id: newKey.id, createdAt: time, firstId: key.id })
      expect(await store.get(key.id)).toEqual({ ...key, revokedAt: time + 60_000, replacedBy: newKey.id })
      await expect(store.rotate(key.id, 0)).rejects.toThrow(`was rotated to ${newKey.id}`)
      // It need not go on for all that time.
      expect((await store.revoke(key.id)).revokedAt).toBe(time)
      const { key: third } = await store.rotate(newKey.id, 0)
      expect(third.firstId).toBe(key.id)
      await store.revoke(third.id)
      await expect(store.rotate(third.id, 0)).rejects.toThrow('is revoked')
      await expect(store.rotate(newKey.id, 0)).rejects.toThrow('was rotated to')
    })

    it('are rotated by one of those who try at once', async () => {
      const stores = [await connect(), await connect()]
      const { key } = await stores[0]!.create(newKeySchema.parse({ owner: 'a' }))
      const results = await Promise.allSettled(Array.from({ length: 6 }, async (_, index) => await stores[index % 2]!.rotate(key.id, 0)))
      expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
      expect(await stores[0]!.list()).toHaveLength(2)
    })

    it('remember their last use to the minute', async () => {
      const store = await connect()
      const { key: { id } } = await store.create(newKeySchema.parse({ owner: 'a' }))
      const lastUse = async () => (await store.get(id)).lastUsedAt
      const first = time
      await store.noteUse(id)
      time += 59_999
      await store.noteUse(id)
      expect(await lastUse()).toBe(first)
      time += 1
      await store.noteUse(id)
      expect(await lastUse()).toBe(time)
    })

    it('are known to every server, and what one of them revokes to the others within five seconds', async () => {
      const [here, there] = [await connect(), await connect()]
      let now = 0
      const ringOf = (store: KeyStore): KeyRing => new KeyRing({ store, logger: silent, now: () => now, wallClock: () => time })
      const [near, far] = [ringOf(here), ringOf(there)]
      const { secret, key } = await here.create(newKeySchema.parse({ owner: 'a' }))
      expect([await near.find(secret), await far.find(secret)]).toMatchObject([{ id: key.id }, { id: key.id }])
      await here.revoke(key.id)
      near.forget()
      await expect(near.find(secret)).rejects.toMatchObject({ code: 'invalid_api_key' })
      expect(await far.find(secret)).toMatchObject({ id: key.id })
      now += 5000
      await expect(far.find(secret)).rejects.toMatchObject({ code: 'invalid_api_key' })
    })
  })
}
