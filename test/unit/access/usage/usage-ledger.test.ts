import { describe, expect, it } from 'vitest'
import { ServerError } from '../../../../src/domain/errors.ts'
import { UsageLedger } from '../../../../src/access/usage/usage-ledger.ts'
import type { UsageRow } from '../../../../src/access/usage/usage-row.ts'
import { usageRow } from '../../../support/usage-rows.ts'

const down = (): ServerError => new ServerError('storage_unavailable', 'The server\'s database gives no answer')

function setUp ({ failures = 0, old = 0, retentionMs = null }: { failures?: number, old?: number, retentionMs?: number | null } = {}) {
  const batches: (readonly UsageRow[])[] = []
  const warnings: string[] = []
  const deletions: number[] = []
  let tries = 0
  let time = 5_000_000
  let left = old
  const ledger = new UsageLedger({
    store: {
      async insert (rows) {
        if (tries++ < failures) throw down()
        batches.push(rows)
      },
      async deleteBefore (before, limit) {
        deletions.push(before)
        if (left < 0) throw down()
        const count = Math.min(left, limit)
        left -= count
        return count
      }
    },
    logger: { warn: (_, message) => { warnings.push(message) } },
    now: () => time++,
    retentionMs: () => retentionMs,
    gatherMs: 1
  })
  const record = async (id: string): Promise<void> => {
    const { finishedAt: _time, ...row } = usageRow({ id })
    await ledger.record(row)
  }
  return { ledger, record, batches, warnings, deletions, tries: () => tries }
}

describe('the ledger', () => {
  it('commits rows that come together together, with the time at which they came', async () => {
    const { record, batches } = setUp()
    await Promise.all(['a', 'b', 'c'].map(record))
    expect(batches.map((rows) => rows.map(({ id, finishedAt }) => [id, finishedAt]))).toEqual([[['a', 5_000_000], ['b', 5_000_001], ['c', 5_000_002]]])
  })

  it('goes on with rows that come at any moment', async () => {
    const { record, batches } = setUp()
    await record('a')
    // Right after a commit, and in the turns that follow it.
    await Promise.all([record('b'), Promise.resolve().then(async () => await record('c'))])
    await record('d')
    expect(batches.flat().map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd'])
  })

  it('takes no more than 512 rows in a commit', async () => {
    const { record, batches } = setUp()
    await Promise.all(Array.from({ length: 1100 }, async (_, index) => await record(String(index))))
    expect(batches.map(({ length }) => length)).toEqual([512, 512, 76])
  })

  it('tries once more, and then says that it could not, and goes on', async () => {
    const once = setUp({ failures: 1 })
    await once.record('a')
    expect(once.batches.flat().map(({ id }) => id)).toEqual(['a'])
    const twice = setUp({ failures: 2 })
    const results = await Promise.allSettled([twice.record('a'), twice.record('b')])
    expect(results).toMatchObject([{ reason: { code: 'storage_unavailable' } }, { reason: { code: 'storage_unavailable' } }])
    await twice.record('c')
    expect(twice.batches.flat().map(({ id }) => id)).toEqual(['c'])
    expect(twice.tries()).toBe(3)
    expect([once.ledger.lostCount, twice.ledger.lostCount]).toEqual([0, 2])
  })

  it('removes what is older than its retention, all of it', async () => {
    const { ledger, deletions } = setUp({ old: 1001, retentionMs: 1_000_000 })
    await ledger.sweep()
    expect(deletions).toEqual([4_000_000, 4_000_001, 4_000_002])
    const forEver = setUp({ old: 5 })
    await forEver.ledger.sweep()
    expect(forEver.deletions).toEqual([])
  })

  it('only warns where it cannot remove anything', async () => {
    const { ledger, warnings } = setUp({ old: -1, retentionMs: 1 })
    await ledger.sweep()
    expect(warnings).toEqual(['old rows of usage could not be removed'])
  })

  it('has written everything when it is closed', async () => {
    const { ledger, record, batches } = setUp()
    const recorded = record('a')
    await ledger.close()
    expect(batches.flat()).toHaveLength(1)
    await recorded
  })
})
