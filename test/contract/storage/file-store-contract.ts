import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Database } from '../../../src/access/storage/database.ts'
import { migrate } from '../../../src/access/storage/migrate.ts'
import { FileStore } from '../../../src/batches/files/file-store.ts'
import { FileWriter } from '../../../src/batches/files/file-writer.ts'
import type { StoredFile } from '../../../src/batches/files/stored-file.ts'
import type { DatabaseFixture } from './database-contract.ts'

const anna = { owner: 'anna', tenant: 'anna' }
const ben = { owner: 'ben', tenant: 'ben' }

/** What files in every database do. */
export function fileStoreContract (name: string, setUp: () => Promise<DatabaseFixture>): void {
  describe(`files in ${name}`, () => {
    let fixture: DatabaseFixture
    let database: Database
    let now: number
    const store = (quota = { perOwner: 10_000_000, total: 10_000_000 }): FileStore => new FileStore({ database, quota, now: () => now })
    beforeEach(async () => {
      fixture = await setUp()
      database = await fixture.connect()
      await migrate(database)
      now = 1_000_000_000
    })
    afterEach(async () => await database.close())

    async function upload (files: FileStore, owner: typeof anna, texts: readonly string[], ttlMs: number | null = null): Promise<StoredFile> {
      const writer = new FileWriter(files, owner, true)
      for (const text of texts) await writer.write(text)
      now++
      return await files.publish(await writer.end(), { purpose: 'batch', filename: 'ä.jsonl', ttlMs })
    }

    async function read (files: FileStore, { id }: StoredFile): Promise<string> {
      let text = ''
      for await (const piece of files.read(id)) text += piece
      return text
    }

    const chunkCount = async (): Promise<number> => Number((await database.query('SELECT COUNT(*) AS count FROM drawbridge_file_chunks'))[0]?.['count'])

    it('are given back as they were written, in pieces', async () => {
      const texts = ['{"a":"ü😀"}\r\n', 'x'.repeat(300_000), '', 'end\u0001']
      const file = await upload(store(), anna, texts, 5000)
      expect(file).toEqual({ id: file.id, tenant: 'anna', purpose: 'batch', filename: 'ä.jsonl', bytes: Buffer.byteLength(texts.join('')), createdAt: now, expiresAt: now + 5000 })
      const other = new FileStore({ database: await fixture.connect(), quota: { perOwner: 1, total: 1 }, now: () => now })
      expect(await other.find('anna', file.id)).toEqual(file)
      expect(await read(other, file)).toBe(texts.join(''))
      expect(await chunkCount()).toBeGreaterThan(1)
    })

    it('are nobody else\'s', async () => {
      const files = store()
      const { id } = await upload(files, anna, ['x'])
      expect(await files.find('ben', id)).toBeNull()
      expect(await files.remove('ben', id)).toBe(false)
      expect((await files.list('ben', { limit: 10, order: 'desc' })).files).toEqual([])
      await expect(files.list('ben', { limit: 10, order: 'desc', after: id })).rejects.toMatchObject({ code: 'file_not_found' })
      expect(await files.find('anna', id)).not.toBeNull()
    })

    it('are there when they are whole, and gone when they are removed', async () => {
      const files = store()
      const writer = new FileWriter(files, anna, true)
      await writer.write('x'.repeat(200_000))
      expect((await files.list('anna', { limit: 10, order: 'desc' })).files).toEqual([])
      await writer.discard()
      await expect(writer.write('x'.repeat(200_000))).rejects.toMatchObject({ code: 'storage_unavailable' })
      const file = await upload(files, anna, ['x'.repeat(3_000_000)])
      expect(await files.remove('anna', file.id)).toBe(true)
      expect(await files.remove('anna', file.id)).toBe(false)
      expect(await files.find('anna', file.id)).toBeNull()
      await files.sweep()
      expect(await chunkCount()).toBe(0)
    })

    it('are listed page by page', async () => {
      const files = store()
      const made: string[] = []
      for (let index = 0; index < 5; index++) made.push((await upload(files, anna, ['x'])).id)
      await upload(files, ben, ['x'])
      for (const order of ['asc', 'desc'] as const) {
        const seen: string[] = []
        let after: string | undefined
        for (let hasMore = true; hasMore;) {
          const page: Awaited<ReturnType<FileStore['list']>> = await files.list('anna', { limit: 2, order, after })
          seen.push(...page.files.map(({ id }) => id))
          after = seen.at(-1)
          hasMore = page.hasMore
        }
        expect(seen).toEqual(order === 'asc' ? made : [...made].reverse())
      }
      expect((await files.list('anna', { limit: 9, order: 'asc', purpose: 'batch_output' })).files).toEqual([])
    })

    it('of one owner stay within its quota, and those of all within theirs', async () => {
      const files = store({ perOwner: 1000, total: 1500 })
      const first = await upload(files, anna, ['x'.repeat(900)])
      await expect(upload(files, anna, ['x'.repeat(200)])).rejects.toMatchObject({ code: 'storage_quota_exceeded', message: expect.stringContaining('--file-quota') as string })
      await expect(upload(files, ben, ['x'.repeat(700)])).rejects.toMatchObject({ code: 'storage_quota_exceeded', message: expect.stringContaining('--file-total-quota') as string })
      await upload(files, ben, ['x'.repeat(500)])
      await files.remove('anna', first.id)
      await upload(files, anna, ['x'.repeat(1000)])
      // What a batch has made is kept.
      const writer = new FileWriter(files, anna, false)
      await writer.write('x'.repeat(5000))
      await files.publish(await writer.end(), { purpose: 'batch_output', filename: 'o', ttlMs: null })
    })

    it('go when they have expired, or were left half written', async () => {
      const files = store()
      const file = await upload(files, anna, ['x'], 5000)
      const kept = await upload(files, anna, ['y'])
      const abandoned = new FileWriter(files, anna, true)
      await abandoned.write('x'.repeat(200_000))
      await files.sweep()
      expect(await chunkCount()).toBe(4 - 1)
      now = file.expiresAt!
      expect(await files.find('anna', file.id)).toBeNull()
      now += 60 * 60 * 1000
      await files.sweep()
      expect(await read(files, kept)).toBe('y')
      expect(await chunkCount()).toBe(1)
      await expect(abandoned.end()).resolves.toMatch(/^file-/)
      await expect(files.publish(await abandoned.end(), { purpose: 'batch', filename: 'x', ttlMs: null })).rejects.toMatchObject({ code: 'storage_unavailable' })
    })
  })
}
