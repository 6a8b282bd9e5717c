import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Database } from '../../../src/access/storage/database.ts'
import { migrate } from '../../../src/access/storage/migrate.ts'
import type { Batch } from '../../../src/batches/batch.ts'
import type { LineResult } from '../../../src/batches/batch-line.ts'
import { BatchStore, mostOpenBatches, type NewBatch } from '../../../src/batches/batch-store.ts'
import { LineStore } from '../../../src/batches/line-store.ts'
import { asTenantId } from '../../../src/domain/ids.ts'
import type { DatabaseFixture } from './database-contract.ts'

const wish: NewBatch = {
  owner: 'anna', tenant: asTenantId('anna/x'), keyId: null, isAnonymous: false, endpoint: '/v1/embeddings', inputFileId: 'file-1', metadata: { a: 'ü' }, outputTtlMs: 5000
}
const usage = { inputTokens: 10, cachedTokens: 4, outputTokens: 3, reasoningTokens: 1 }
const leaseMs = 1000

/** What batches in every database do. */
export function batchStoreContract (name: string, setUp: () => Promise<DatabaseFixture>): void {
  describe(`batches in ${name}`, () => {
    const open: Database[] = []
    let fixture: DatabaseFixture
    let now: number
    const connect = async (quota = { perOwner: 1_000_000, total: 1_000_000 }) => {
      const database = await fixture.connect()
      open.push(database)
      await migrate(database)
      return { database, batches: new BatchStore(database, () => now), lines: new LineStore(database, quota, () => now) }
    }
    beforeEach(async () => {
      fixture = await setUp()
      now = 1_000_000_000
    })
    afterEach(async () => { for (const database of open.splice(0)) await database.close() })

    const none = async () => ({ outputFileId: null, errorFileId: null })
    const linesOf = (count: number) => Array.from({ length: count }, (_, index) => ({ line: index + 1, customId: `"${index}"`, request: '{"model":"m"}' }))

    /** A batch whose lines may run. */
    async function begun ({ batches, lines }: Awaited<ReturnType<typeof connect>>, count: number): Promise<Batch> {
      const { id, tenant } = await batches.create(wish)
      await batches.lease(id, 'first', leaseMs)
      await lines.add(id, 'anna', linesOf(count))
      expect(await batches.begin(id, 'first', { total: count, model: 'm' })).toBe(true)
      await batches.release(id, 'first')
      return await batches.get(tenant, id)
    }

    const resultOf = (batchId: string, line: number, statusCode = 200): LineResult => ({ batchId, line, statusCode, requestId: `r${line}`, response: `{"line":${line}}`, usage })

    it('are kept as they were made, for their tenant', async () => {
      const { batches } = await connect()
      const made = await batches.create(wish)
      expect(made).toMatchObject({ ...wish, status: 'validating', createdAt: now, expiresAt: now + 86_400_000, total: 0, problems: null, ending: null, inputTokens: 0 })
      expect(await (await connect()).batches.get('anna/x', made.id)).toEqual(made)
      await expect(batches.get('anna', made.id)).rejects.toMatchObject({ code: 'batch_not_found' })
      await expect(batches.cancel('ben', made.id)).rejects.toMatchObject({ code: 'batch_not_found' })
      await expect(batches.list('ben', 10, made.id)).rejects.toMatchObject({ code: 'batch_not_found' })
    })

    it('are listed newest first, page by page', async () => {
      const { batches } = await connect()
      const made: string[] = []
      for (let index = 0; index < 5; index++) {
        now += index % 2
        made.push((await batches.create(wish)).id)
      }
      const first = await batches.list('anna/x', 3)
      const second = await batches.list('anna/x', 3, first.batches.at(-1)?.id)
      expect([first.hasMore, second.hasMore, first.batches.length, second.batches.length]).toEqual([true, false, 3, 2])
      expect([...first.batches, ...second.batches].map(({ id }) => id).sort()).toEqual([...made].sort())
      expect(first.batches[0]!.createdAt).toBeGreaterThanOrEqual(second.batches[0]!.createdAt)
    })

    it('of one owner are no more than the limit, as long as they have not ended', async () => {
      const { batches } = await connect()
      const ids: string[] = []
      for (let count = 0; count < mostOpenBatches; count++) ids.push((await batches.create(wish)).id)
      await expect(batches.create(wish)).rejects.toMatchObject({ code: 'queue_full' })
      await batches.create({ ...wish, owner: 'ben' })
      await batches.lease(ids[0]!, 'w', leaseMs)
      await batches.reject(ids[0]!, 'w', [])
      await batches.create(wish)
    })

    it('are one server\'s at a time', async () => {
      const [here, there] = [await connect(), await connect()]
      const { id } = await here.batches.create(wish)
      const leases = await Promise.all([here.batches.lease(id, 'here', leaseMs), there.batches.lease(id, 'there', leaseMs)])
      expect(leases.filter((lease) => lease !== null)).toHaveLength(1)
      const [winner, loser] = leases[0] !== null ? ['here', 'there'] : ['there', 'here']
      expect(await here.batches.begin(id, loser, { total: 1, model: 'm' })).toBe(false)
      await here.batches.reject(id, loser, [{ code: 'x', message: '', param: null, line: 1 }])
      expect((await here.batches.open())[0]).toMatchObject({ status: 'validating' })
      now += leaseMs
      expect(await here.batches.lease(id, loser, leaseMs)).not.toBeNull()
      expect(await here.batches.begin(id, winner, { total: 1, model: 'm' })).toBe(false)
      await here.batches.reject(id, loser, [{ code: 'x', message: 'y', param: 'z', line: 1 }])
      expect(await here.batches.get('anna/x', id)).toMatchObject({ status: 'failed', failedAt: now, problems: [{ code: 'x', message: 'y', param: 'z', line: 1 }] })
    })

    it('have each line claimed by one server, in order, until its lease is over', async () => {
      const servers = [await connect(), await connect(), await connect()]
      const { id } = await begun(servers[0]!, 60)
      const claims = await Promise.all(servers.flatMap(({ lines }, index) => [0, 1, 2].map(async () => await lines.claim(id, `w${index}`, 7, leaseMs))))
      const claimed = claims.flat().map(({ line }) => line)
      expect(new Set(claimed).size).toBe(claimed.length)
      const rest = await servers[0]!.lines.claim(id, 'w0', 100, leaseMs)
      expect([...claimed, ...rest.map(({ line }) => line)].sort((a, b) => a - b)).toEqual(linesOf(60).map(({ line }) => line))
      expect(await servers[1]!.lines.claim(id, 'w1', 100, leaseMs)).toEqual([])
      now += leaseMs - 1
      await servers[0]!.lines.renew(rest, 'w0', leaseMs)
      now += 1
      const again = await servers[1]!.lines.claim(id, 'w1', 100, leaseMs)
      expect(again.map(({ line }) => line).sort((a, b) => a - b)).toEqual(claimed.sort((a, b) => a - b))
      expect(again.every(({ attempts, request }) => attempts === 2 && request === '{"model":"m"}')).toBe(true)
    })

    it('take one result of each line, from whoever has it', async () => {
      const [here, there] = [await connect(), await connect()]
      const { id } = await begun(here, 3)
      await here.lines.claim(id, 'here', 2, leaseMs)
      expect(await there.lines.settle('there', [resultOf(id, 1)], [])).toEqual([])
      now += leaseMs
      // Those that were never begun come first.
      expect((await there.lines.claim(id, 'there', 2, leaseMs)).map(({ line }) => line)).toEqual([3, 1])
      const [ofHere, ofThere] = await Promise.all([
        here.lines.settle('here', [resultOf(id, 1), resultOf(id, 2, 400)], []), there.lines.settle('there', [resultOf(id, 1)], [])
      ])
      expect(ofHere.map(({ line }) => line)).toEqual([2])
      expect(ofThere.map(({ line }) => line)).toEqual([1])
      expect(await there.lines.settle('there', [resultOf(id, 1)], [])).toEqual([])
      expect(await here.batches.get('anna/x', id)).toMatchObject({ completed: 1, failed: 1, inputTokens: 20, cachedTokens: 8, outputTokens: 6, reasoningTokens: 2 })
      expect(await here.lines.read(id, 0, 10)).toEqual([
        { line: 1, customId: '"0"', result: { statusCode: 200, requestId: 'r1', response: '{"line":1}' } },
        { line: 2, customId: '"1"', result: { statusCode: 400, requestId: 'r2', response: '{"line":2}' } },
        { line: 3, customId: '"2"', result: null }
      ])
      expect((await here.lines.read(id, 2, 10)).map(({ line }) => line)).toEqual([3])
    })

    it('take no result twice from servers that write at once', async () => {
      const servers = [await connect(), await connect(), await connect(), await connect()]
      const [one, two] = [await begun(servers[0]!, 12), await begun(servers[0]!, 12)]
      const taken: string[] = []
      await Promise.all(servers.map(async ({ lines }, index) => {
        const worker = `w${index}`
        const claimed = [...await lines.claim(one.id, worker, 3, leaseMs), ...await lines.claim(two.id, worker, 3, leaseMs)]
        const results = claimed.map(({ batchId, line }) => resultOf(batchId, line))
        for (const result of [...await lines.settle(worker, index % 2 === 0 ? results : [...results].reverse(), []), ...await lines.settle(worker, results, [])]) taken.push(`${result.batchId} ${result.line}`)
      }))
      expect(new Set(taken).size).toBe(taken.length)
      const counts = [await servers[0]!.batches.get('anna/x', one.id), await servers[0]!.batches.get('anna/x', two.id)].map(({ completed }) => completed)
      expect(counts[0]! + counts[1]!).toBe(taken.length)
      expect(taken.length).toBe(24)
    })

    it('run a line again that was given back, when it is time', async () => {
      const { lines, ...here } = await connect()
      const { id } = await begun({ lines, ...here }, 2)
      await lines.claim(id, 'w', 2, leaseMs)
      await lines.settle('other', [], [{ batchId: id, line: 1, availableAt: now, isAttempt: true }])
      expect(await lines.claim(id, 'w', 2, leaseMs)).toEqual([])
      await lines.settle('w', [], [{ batchId: id, line: 1, availableAt: now + 10, isAttempt: true }, { batchId: id, line: 2, availableAt: now, isAttempt: false }])
      expect(await lines.claim(id, 'w', 2, leaseMs)).toMatchObject([{ line: 2, attempts: 1 }])
      now += 10
      expect(await lines.claim(id, 'w', 2, leaseMs)).toMatchObject([{ line: 1, attempts: 2 }])
    })

    it('take no result once they are sealed, and end once', async () => {
      const here = await connect()
      const { id } = await begun(here, 3)
      await here.lines.claim(id, 'w', 3, leaseMs)
      await here.lines.settle('w', [resultOf(id, 1)], [])
      expect(await here.batches.seal(id, 'w')).toBeNull()
      now += 86_400_000
      await here.batches.lease(id, 'w', leaseMs)
      expect(await here.batches.finish(id, 'w', 'expired', none)).toBe(false)
      expect(await here.batches.seal(id, 'w')).toMatchObject({ status: 'finalizing', ending: 'expired', completed: 1, failed: 2, finalizingAt: now })
      expect(await here.lines.settle('w', [resultOf(id, 2)], [])).toEqual([])
      // A server that goes on from here does not count it anew.
      expect(await here.batches.seal(id, 'w')).toMatchObject({ ending: 'expired', completed: 1, failed: 2 })
      await expect(here.batches.finish(id, 'w', 'expired', async () => { throw new Error('no files') })).rejects.toThrow('no files')
      expect(await here.batches.finish(id, 'w', 'expired', async () => ({ outputFileId: 'file-o', errorFileId: 'file-e' }))).toBe(true)
      expect(await here.batches.finish(id, 'w', 'expired', none)).toBe(false)
      expect(await here.batches.get('anna/x', id)).toMatchObject({ status: 'expired', expiredAt: now, outputFileId: 'file-o', errorFileId: 'file-e', completed: 1, failed: 2 })
      expect(await here.batches.open()).toEqual([])
      expect(await here.batches.withLeftovers()).toEqual([id])
      await here.lines.remove(id)
      expect(await here.batches.withLeftovers()).toEqual([])
      expect(await here.lines.read(id, 0, 10)).toEqual([])
      await expect(here.batches.cancel('anna/x', id)).rejects.toMatchObject({ code: 'invalid_value' })
    })

    it('are stopped by their owner, or because something is wrong', async () => {
      const here = await connect()
      const [stopped, wrong] = [await begun(here, 1), await begun(here, 1)]
      const cancelling = await here.batches.cancel('anna/x', stopped.id)
      expect(cancelling).toMatchObject({ status: 'cancelling', cancellingAt: now })
      now += 5
      expect(await here.batches.cancel('anna/x', stopped.id)).toEqual(cancelling)
      await here.batches.stop(stopped.id, { code: 'x', message: '', param: null, line: null })
      await here.batches.stop(wrong.id, { code: 'x', message: '', param: null, line: null })
      expect(await here.batches.get('anna/x', wrong.id)).toMatchObject({ status: 'finalizing', problems: [{ code: 'x' }] })
      await expect(here.batches.cancel('anna/x', wrong.id)).rejects.toMatchObject({ code: 'invalid_value' })
      for (const [{ id }, status] of [[stopped, 'cancelled'], [wrong, 'failed']] as const) {
        await here.batches.lease(id, 'w', leaseMs)
        const sealed = await here.batches.seal(id, 'w')
        expect(sealed?.ending).toBe(status)
        await here.batches.finish(id, 'w', sealed!.ending, none)
        expect((await here.batches.get('anna/x', id)).status).toBe(status)
      }
    })

    it('count to their owner\'s quota while they have lines', async () => {
      const here = await connect({ perOwner: 100, total: 1000 })
      const { id } = await begun(here, 5)
      await expect(here.lines.add(id, 'anna', linesOf(3))).rejects.toMatchObject({ code: 'storage_quota_exceeded' })
      await here.lines.remove(id)
      await here.lines.add(id, 'anna', linesOf(5))
    })
  })
}
