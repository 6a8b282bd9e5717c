import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Ask } from '../../../src/access/limits/admission.ts'
import { DatabaseLimitStore } from '../../../src/access/limits/database-limit-store.ts'
import type { LimitStore } from '../../../src/access/limits/limit-store.ts'
import type { EffectiveLimits } from '../../../src/domain/limits.ts'
import { MemoryLimitStore } from '../../../src/access/limits/memory-limit-store.ts'
import { type Settlement, spendingOf } from '../../../src/access/limits/settlement.ts'
import type { Database } from '../../../src/access/storage/database.ts'
import { migrate, migrations } from '../../../src/access/storage/migrate.ts'
import { UsageStore } from '../../../src/access/usage/usage-store.ts'
import { usageRow } from '../../support/usage-rows.ts'
import type { DatabaseFixture } from './database-contract.ts'

const prices = () => [{ model: 'm', prompt: 1_000_000, completion: 2_000_000 }]
let count = 0

const ask = (limits: EffectiveLimits, wish: Partial<Ask> = {}): Ask =>
  ({ id: `run-${++count}`, subjects: [{ subject: 'key:a', limits }], tokens: 10, cost: 0, isBatch: false, ...wish })

const settlement = (id: string, given: Partial<Settlement> = {}): Settlement => ({ id, subjects: ['key:a'], taken: [], spending: null, hasReservation: true, ...given })

const used = (promptTokens: number, completionTokens: number) => spendingOf({ finishedAt: Date.now(), model: 'm', outcome: 'ok', promptTokens, cachedTokens: 0, completionTokens })

/** What every place where limits are kept does. @param open one more user of the same place */
function limitStoreContract (name: string, open: () => Promise<LimitStore>): void {
  const grants = async (store: LimitStore, ...asks: readonly Ask[]) => (await store.reserve(asks)).map(({ refusal }) => refusal?.limit ?? null)

  describe(`limits in ${name}`, () => {
    it('let as many in as they say, in the order in which they ask', async () => {
      const store = await open()
      const limits = { requestsPerMinute: 3 }
      expect(await grants(store, ...Array.from({ length: 5 }, () => ask(limits)))).toEqual([null, null, null, 'requestsPerMinute', 'requestsPerMinute'])
      const [verdict] = await store.reserve([ask(limits)])
      expect(verdict).toMatchObject({ refusal: { subject: 'key:a', most: 3, used: 3 }, rates: { requests: { limit: 3, remaining: 0 }, tokens: null } })
      expect(verdict?.refusal?.retryAfterMs).toBeGreaterThan(15_000)
      expect(verdict?.refusal?.retryAfterMs).toBeLessThanOrEqual(20_000)
      expect(await grants(store, ask(limits, { subjects: [{ subject: 'key:b', limits }] }))).toEqual([null])
    })

    it('count what runs, until it ends', async () => {
      const store = await open()
      const [first, second] = [ask({ concurrentRequests: 2 }), ask({ concurrentRequests: 2 })]
      expect(await grants(store, first, second, ask({ concurrentRequests: 2 }))).toEqual([null, null, 'concurrentRequests'])
      await store.settle([settlement(first.id)])
      expect(await grants(store, ask({ concurrentRequests: 2 }), ask({ concurrentRequests: 2 }))).toEqual([null, 'concurrentRequests'])
      expect((await store.read(['key:a'])).states.get('key:a')).toMatchObject({ running: 2, reservedTokens: 20 })
    })

    it('give back what was taken too much, and take what was too little', async () => {
      const store = await open()
      const limits = { tokensPerMinute: 600_000 }
      const [much, little] = [ask(limits, { tokens: 500_000 }), ask(limits, { tokens: 100_000 })]
      expect(await grants(store, much, little, ask(limits, { tokens: 100_000 }))).toEqual([null, null, 'tokensPerMinute'])
      const taken = (tokens: number) => [{ subject: 'key:a', perMinute: 600_000, tokens }]
      await store.settle([settlement(much.id, { taken: taken(500_000), spending: used(10, 190_000 - 10) }), settlement(little.id, { taken: taken(100_000), spending: used(10, 110_000 - 10) })])
      const [verdict] = await store.reserve([ask(limits, { tokens: 1 })])
      // 300,000 were used; a little has come back since.
      expect(verdict?.rates.tokens?.remaining).toBeGreaterThanOrEqual(299_000)
      expect(verdict?.rates.tokens?.remaining).toBeLessThan(400_000)
    })

    it('have budgets of what was used, and of what those under way may use', async () => {
      const store = await open()
      const limits = { tokensPerDay: 100, costPerMonth: 150 }
      const first = ask(limits, { tokens: 60, cost: 90 })
      expect(await grants(store, first, ask(limits, { tokens: 50 }))).toEqual([null, 'tokensPerDay'])
      await store.settle([settlement(first.id, { subjects: ['key:a', 'owner:anna'], spending: used(20, 10) })])
      expect((await store.read(['key:a', 'owner:anna'])).states.get('owner:anna')).toMatchObject({ running: 0, spentToday: { tokens: 30, cost: 40 }, spentThisMonth: { tokens: 30, cost: 40 } })
      expect(await grants(store, ask(limits, { tokens: 71 }), ask(limits, { tokens: 70, cost: 111 }))).toEqual(['tokensPerDay', 'costPerMonth'])
      const [verdict] = await store.reserve([ask(limits, { tokens: 70, cost: 110 })])
      expect(verdict?.refusal).toBeNull()
    })

    it('know nobody who has not asked', async () => {
      const store = await open()
      const { now, states } = await store.read(['key:nobody'])
      expect(Math.abs(now / 1000 - Date.now())).toBeLessThan(60_000)
      expect(states.get('key:nobody')).toEqual({ requestsFullAt: 0, tokensFullAt: 0, running: 0, reservedTokens: 0, reservedCost: 0, spentToday: { tokens: 0, cost: 0 }, spentThisMonth: { tokens: 0, cost: 0 } })
    })

    it('keep what counts when they are swept', async () => {
      const store = await open()
      const limits = { requestsPerMinute: 1, concurrentRequests: 1, tokensPerDay: 100 }
      const first = ask(limits)
      await store.reserve([first])
      await store.settle([settlement('another', { spending: used(5, 5) })])
      await store.keepAlive()
      await store.sweep()
      expect((await store.read(['key:a'])).states.get('key:a')).toMatchObject({ running: 1, reservedTokens: 10, spentToday: { tokens: 10 } })
      expect(await grants(store, ask({ requestsPerMinute: 1 }))).toEqual(['requestsPerMinute'])
    })
  })
}

/** What limits in a database do besides, where several processes share it. */
export function databaseLimitContract (name: string, setUp: () => Promise<DatabaseFixture>): void {
  const open: Database[] = []
  let fixture: DatabaseFixture
  beforeEach(async () => { fixture = await setUp() })
  afterEach(async () => { for (const database of open.splice(0)) await database.close() })
  const connect = async (): Promise<Database> => {
    const database = await fixture.connect()
    open.push(database)
    await migrate(database)
    return database
  }
  limitStoreContract(name, async () => new DatabaseLimitStore(await connect(), prices))

  describe(`limits that are shared in ${name}`, () => {
    it('let no more in than they say, whoever asks at the same time', async () => {
      const stores = await Promise.all([1, 2, 3].map(async () => new DatabaseLimitStore(await connect(), prices)))
      const limits = { requestsPerMinute: 20, concurrentRequests: 50, tokensPerDay: 1000 }
      const subjects = [{ subject: 'key:a', limits }, { subject: 'owner:anna', limits: { requestsPerMinute: 30 } }]
      const verdicts = await Promise.all(Array.from({ length: 60 }, async (_, index) => (await stores[index % 3]!.reserve([ask(limits, { subjects: index % 2 === 0 ? subjects : [...subjects].reverse() })]))[0]))
      const letIn = verdicts.filter((verdict) => verdict?.refusal === null).length
      // One more may have come back in the meantime for every 3 seconds that this took.
      expect(letIn).toBeGreaterThanOrEqual(20)
      expect(letIn).toBeLessThan(30)
      expect((await stores[0]!.read(['key:a'])).states.get('key:a')).toMatchObject({ running: letIn, reservedTokens: letIn * 10 })
    })

    it('forget what a dead process holds, and not what it has spent', async () => {
      const database = await connect()
      const [dead, other] = [new DatabaseLimitStore(await connect(), prices), new DatabaseLimitStore(database, prices)]
      const limits = { concurrentRequests: 1, tokensPerDay: 25 }
      await dead.reserve([ask(limits)])
      expect((await other.reserve([ask(limits)]))[0]?.refusal?.limit).toBe('concurrentRequests')
      await other.settle([settlement('x', { spending: used(3, 2) })])
      await database.query('UPDATE drawbridge_replicas SET alive_until_at = 0')
      expect((await other.reserve([ask(limits)]))[0]?.refusal).toBeNull()
      await other.sweep()
      expect(await database.query('SELECT COUNT(*) AS count FROM drawbridge_reservations')).toEqual([{ count: 1 }])
      expect((await other.read(['key:a'])).states.get('key:a')).toMatchObject({ running: 1, spentToday: { tokens: 5 } })
    })

    it('are settled with the row of the ledger, once, however often that is written', async () => {
      const database = await connect()
      const [limits, usage] = [new DatabaseLimitStore(database, prices), new UsageStore(database)]
      const wish = ask({ tokensPerMinute: 6000, tokensPerDay: 100 }, { tokens: 100 })
      await limits.reserve([wish])
      const row = usageRow({ id: wish.id, finishedAt: Date.now(), model: 'm', promptTokens: 20, completionTokens: 20, cachedTokens: 0 })
      const accounts = new Map([[row.id, { subjects: ['key:a', 'owner:anna'], taken: [{ subject: 'key:a', perMinute: 6000, tokens: 100 }], hasReservation: true }]])
      await usage.insert([row], accounts)
      await usage.insert([row], accounts)
      const { now, states } = await limits.read(['key:a', 'owner:anna'])
      expect(states.get('key:a')).toMatchObject({ running: 0, reservedTokens: 0, spentToday: { tokens: 40, cost: 60 } })
      expect(states.get('owner:anna')?.spentThisMonth).toEqual({ tokens: 40, cost: 60 })
      // 40 tokens come back in 400 ms.
      expect(states.get('key:a')!.tokensFullAt - now).toBeLessThanOrEqual(400_000)
    })

    it('begin with what the ledger has from before there were any', async () => {
      const database = await fixture.connect()
      open.push(database)
      await migrate(database, migrations.slice(0, 2))
      const columns = 'id, request_id, finished_at, owner, tenant, key_id, model, adapters, endpoint, prompt_tokens, cached_tokens, completion_tokens, duration_ms, finish_reasons, outcome'
      for (const [id, outcome] of [['a', 'ok'], ['b', 'error']]) {
        await database.query(`INSERT INTO drawbridge_usage (${columns}) VALUES (?, 'r', ?, 'anna', 'anna', 'a', 'm', '[]', '/', 20, 5, 10, 1, '[]', ?)`, [id!, Date.now(), outcome!])
      }
      await migrate(database)
      const { states } = await new DatabaseLimitStore(database, prices).read(['key:a', 'owner:anna'])
      for (const subject of ['key:a', 'owner:anna']) expect(states.get(subject)?.spentToday).toEqual({ tokens: 60, cost: 40 })
    })

    it('have a database that gives no answer let nobody in', async () => {
      const database = await connect()
      const store = new DatabaseLimitStore(database, prices)
      await database.close()
      await expect(store.reserve([ask({ requestsPerMinute: 1 })])).rejects.toMatchObject({ code: 'storage_unavailable' })
    })
  })
}

/** Where there is no database. */
export const memoryLimitContract = (): void => limitStoreContract('memory', async () => new MemoryLimitStore(prices))
