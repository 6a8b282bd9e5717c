import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Database } from '../../../src/access/storage/database.ts'
import { migrate } from '../../../src/access/storage/migrate.ts'
import { UsageLedger } from '../../../src/access/usage/usage-ledger.ts'
import { UsageReader } from '../../../src/access/usage/usage-reader.ts'
import type { UsageRow } from '../../../src/access/usage/usage-row.ts'
import { type UsagePosition, UsageStore } from '../../../src/access/usage/usage-store.ts'
import { usageRow } from '../../support/usage-rows.ts'
import { type DatabaseFixture, silent } from './database-contract.ts'

const always = { from: 0, to: 10_000_000_000_000 }

/** What the ledger in every database does. */
export function usageStoreContract (name: string, setUp: () => Promise<DatabaseFixture>): void {
  describe(`usage in ${name}`, () => {
    const open: Database[] = []
    let fixture: DatabaseFixture
    const connect = async (): Promise<UsageStore> => {
      const database = await fixture.connect()
      open.push(database)
      await migrate(database)
      return new UsageStore(database)
    }
    beforeEach(async () => { fixture = await setUp() })
    afterEach(async () => { for (const database of open.splice(0)) await database.close() })

    it('is kept as it was written', async () => {
      const store = await connect()
      const rows = [
        usageRow({ id: 'a', adapters: ['x', 'ü/y'], finishReasons: ['stop', 'length'] }),
        usageRow({ id: 'b', keyId: null, queuedMs: null, ttftMs: null, finishReasons: [], outcome: 'error', errorCode: 'engine_crashed' })
      ]
      await store.insert(rows)
      expect(await (await connect()).read(always, null, 10)).toEqual(rows)
    })

    it('has each answer once, however often it is written', async () => {
      const [here, there] = [await connect(), await connect()]
      const rows = Array.from({ length: 150 }, (_, index) => usageRow({ id: `id-${index}` }))
      await Promise.all([here.insert(rows), there.insert(rows), here.insert(rows.slice(0, 9)), there.insert([usageRow({ id: 'id-7', promptTokens: 999 })])])
      const found = await here.read(always, null, 1000)
      expect(found.map(({ id }) => id).sort()).toEqual(rows.map(({ id }) => id).sort())
      expect(found.filter(({ id }) => id !== 'id-7').every(({ promptTokens }) => promptTokens === 10)).toBe(true)
    })

    it('is read page by page in the order of time, rows of the same moment too', async () => {
      const store = await connect()
      const rows = Array.from({ length: 25 }, (_, index) => usageRow({ id: `id-${10 + index}`, finishedAt: 1000 + Math.floor(index / 6) }))
      await store.insert([...rows].reverse())
      const read: UsageRow[] = []
      let position: UsagePosition | null = null
      for (let page; page === undefined || page.length > 0;) {
        page = await store.read(always, position, 4)
        read.push(...page)
        position = page.at(-1) ?? null
      }
      expect(read).toEqual(rows)
    })

    it('is of a span, which does not have its end, and of an owner', async () => {
      const store = await connect()
      await store.insert([1, 2, 3, 4].map((time) => usageRow({ id: String(time), finishedAt: time, owner: time === 3 ? 'ben' : 'anna' })))
      const idsOf = async (span: Parameters<UsageStore['read']>[0]) => (await store.read(span, null, 10)).map(({ id }) => id)
      expect(await idsOf({ from: 2, to: 4 })).toEqual(['2', '3'])
      expect(await idsOf({ from: 2, to: 5, owner: 'anna' })).toEqual(['2', '4'])
      expect(await idsOf({ from: 2, to: 5, owner: 'nobody' })).toEqual([])
    })

    it('is removed when it is old, oldest first', async () => {
      const store = await connect()
      await store.insert([1, 2, 3, 4].map((time) => usageRow({ id: String(time), finishedAt: time })))
      expect(await store.deleteBefore(4, 2)).toBe(2)
      expect((await store.read(always, null, 10)).map(({ id }) => id)).toEqual(['3', '4'])
      expect(await store.deleteBefore(4, 2)).toBe(1)
      expect(await store.deleteBefore(4, 2)).toBe(0)
    })

    it('of two servers is written at once, and there when they say so', async () => {
      const stores = [await connect(), await connect()] as const
      const ledgers = stores.map((store) => new UsageLedger({ store, logger: silent, gatherMs: 1 }))
      const other = await connect()
      await Promise.all(Array.from({ length: 40 }, async (_, index) => {
        const { finishedAt: _time, ...row } = usageRow({ id: `id-${index}` })
        await ledgers[index % 2]!.record(row)
        expect((await other.read(always, null, 1000)).some(({ id }) => id === row.id)).toBe(true)
      }))
      const report = await new UsageReader(other, () => []).report(always, ['owner'], new AbortController().signal)
      expect(report.total).toMatchObject({ requests: 40, promptTokens: 400, completionTokens: 200 })
    })
  })
}
