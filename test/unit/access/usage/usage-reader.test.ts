import { describe, expect, it } from 'vitest'
import { UsageReader } from '../../../../src/access/usage/usage-reader.ts'
import type { UsagePosition } from '../../../../src/access/usage/usage-store.ts'
import { usageRow } from '../../../support/usage-rows.ts'

/** A store of so many rows, each of an owner of its own, and how many reads of it are under way at most. */
function createStore (count: number) {
  const rows = Array.from({ length: count }, (_, index) => usageRow({ id: String(index).padStart(6, '0'), owner: `owner-${index}` }))
  const seen = { reads: 0, underWay: 0, most: 0 }
  return {
    seen,
    async read (_span: unknown, after: UsagePosition | null, limit: number) {
      seen.reads++
      seen.most = Math.max(seen.most, ++seen.underWay)
      await Promise.resolve()
      seen.underWay--
      const start = after === null ? 0 : Number(after.id) + 1
      return rows.slice(start, start + limit)
    }
  }
}

const span = { from: 0, to: 1 }
const { signal } = new AbortController()

describe('the reader of usage', () => {
  it.each([0, 1, 999, 1000, 1001, 2500])('reads all of %i rows, in pages', async (count) => {
    const report = await new UsageReader(createStore(count), () => []).report(span, ['model'], signal)
    expect(report.total.requests).toBe(count)
  })

  it('makes one report at a time, and goes on after one that failed', async () => {
    const store = createStore(3000)
    const reader = new UsageReader(store, () => [])
    const leaving = AbortSignal.abort()
    const results = await Promise.allSettled([reader.report(span, ['model'], leaving), reader.report(span, ['model'], signal), reader.report(span, ['day'], signal)])
    expect(results).toMatchObject([{ status: 'rejected', reason: { code: 'request_aborted' } }, { status: 'fulfilled' }, { status: 'fulfilled' }])
    expect(store.seen).toEqual({ reads: 8, underWay: 0, most: 1 })
  })

  it('refuses a report that is too long, and reads no further', async () => {
    const store = createStore(30_000)
    await expect(new UsageReader(store, () => []).report(span, ['owner'], signal)).rejects.toMatchObject({ code: 'invalid_value', param: 'group_by', message: expect.stringContaining('20000') as string })
    expect(store.seen.reads).toBe(21)
  })
})
