import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Database } from '../../../src/access/storage/database.ts'
import { type Migration, migrate, migrations } from '../../../src/access/storage/migrate.ts'

export interface DatabaseFixture {
  /** Connects once more to the same database, which is empty before each test. */
  readonly connect: () => Promise<Database>
}

const newest = migrations.at(-1)?.version ?? 0

/** What every database does. */
export function databaseContract (name: string, setUp: () => Promise<DatabaseFixture>): void {
  describe(name, () => {
    const open: Database[] = []
    let fixture: DatabaseFixture
    const connect = async (): Promise<Database> => {
      const database = await fixture.connect()
      open.push(database)
      return database
    }
    beforeEach(async () => { fixture = await setUp() })
    afterEach(async () => { for (const database of open.splice(0)) await database.close() })

    const withTable = async (): Promise<Database> => {
      const database = await connect()
      await database.query('CREATE TABLE things (id TEXT PRIMARY KEY, number INTEGER, time BIGINT, share DOUBLE PRECISION)')
      return database
    }
    const countOf = async (database: Database): Promise<number> => Number((await database.query('SELECT count(*) AS count FROM things'))[0]?.['count'])

    it('gives back what was put in', async () => {
      const database = await withTable()
      const values = ['it\'s "a" 😀 – thing', 7, 1_795_685_146_693, 0.1]
      const rows = await database.query('INSERT INTO things (id, number, time, share) VALUES (?, ?, ?, ?) RETURNING *', values)
      expect(rows.map((row) => Object.values(row))).toEqual([values])
      await database.query('INSERT INTO things (id) VALUES (?)', ['empty'])
      expect(await database.query('SELECT number, time, share FROM things WHERE id = ?', ['empty'])).toEqual([{ number: null, time: null, share: null }])
      expect(await database.query('DELETE FROM things WHERE id = ?', ['nobody'])).toEqual([])
    })

    it('counts in one statement, whoever else does', async () => {
      const [one, other] = [await withTable(), await connect()]
      const add = async (database: Database) => await database.query(
        'INSERT INTO things (id, number) VALUES (?, 1) ON CONFLICT (id) DO UPDATE SET number = things.number + 1 RETURNING number', ['counter']
      )
      await Promise.all(Array.from({ length: 40 }, async (_, index) => await add(index % 2 === 0 ? one : other)))
      expect(await one.query('SELECT number FROM things')).toEqual([{ number: 40 }])
    })

    it('keeps all of a transaction, or nothing', async () => {
      const database = await withTable()
      const value = await database.transaction(async ({ query }) => {
        await query('INSERT INTO things (id) VALUES (?)', ['a'])
        return await query('SELECT id FROM things')
      })
      expect(value).toEqual([{ id: 'a' }])
      const failure = new Error('no more')
      await expect(database.transaction(async ({ query }) => {
        await query('INSERT INTO things (id) VALUES (?)', ['b'])
        throw failure
      })).rejects.toBe(failure)
      await expect(database.transaction(async ({ query }) => {
        await query('INSERT INTO things (id) VALUES (?)', ['c'])
        await query('INSERT INTO things (id) VALUES (?)', ['a'])
      })).rejects.toMatchObject({ code: 'storage_unavailable' })
      expect(await database.query('SELECT id FROM things')).toEqual([{ id: 'a' }])
    })

    it('keeps queries of others out of a transaction', async () => {
      const [database, other] = [await withTable(), await connect()]
      const seen: unknown[] = []
      let outside: Promise<unknown> = Promise.resolve()
      await expect(database.transaction(async ({ query }) => {
        await query('INSERT INTO things (id) VALUES (?)', ['inside'])
        outside = database.query('INSERT INTO things (id) VALUES (?)', ['outside'])
        seen.push(...await other.query('SELECT id FROM things WHERE id = ?', ['inside']))
        throw new Error('undo')
      })).rejects.toThrow('undo')
      await outside
      expect(seen).toEqual([])
      expect(await database.query('SELECT id FROM things')).toEqual([{ id: 'outside' }])
    })

    it('lets transactions of several connections follow each other', async () => {
      const databases = [await withTable(), await connect(), await connect()]
      await Promise.all(Array.from({ length: 30 }, async (_, index) => await databases[index % 3]?.transaction(async ({ query }) => {
        await query('INSERT INTO things (id) VALUES (?)', [`${index}`])
        await query('UPDATE things SET number = 1 WHERE id = ?', [`${index}`])
      })))
      expect(await countOf(databases[0]!)).toBe(30)
    })

    it('says so when it gives no answer', async () => {
      const database = await connect()
      await expect(database.query('SELECT * FROM nowhere')).rejects.toMatchObject({ code: 'storage_unavailable', status: 503, cause: expect.anything() as unknown })
      await database.close()
      await database.close()
      await expect(database.query('SELECT 1')).rejects.toMatchObject({ code: 'storage_unavailable' })
    })

    describe('migrations', () => {
      const added: Migration = { version: newest + 1, name: 'things', statements: ['CREATE TABLE things (id TEXT PRIMARY KEY)', 'INSERT INTO things (id) VALUES (\'first\')'] }

      it('are applied once, by whoever is first', async () => {
        const databases = [await connect(), await connect(), await connect()]
        await Promise.all(databases.map(async (database) => await migrate(database, [...migrations, added], () => 1000)))
        expect(await countOf(databases[0]!)).toBe(1)
        await migrate(databases[0]!, [...migrations, added])
        expect(await databases[0]!.query('SELECT version, name, applied_at FROM drawbridge_migrations ORDER BY version'))
          .toEqual([...migrations, added].map(({ version, name: migration }) => ({ version, name: migration, applied_at: 1000 })))
      })

      it('go on from where an older program left the tables', async () => {
        const database = await connect()
        await migrate(database)
        await database.query('INSERT INTO drawbridge_api_keys (id, digest, owner, name, scopes, weight, priority, highest_priority, names_users, created_at) VALUES (?, ?, ?, ?, ?, 1, ?, ?, 0, 0)', ['k', 'd', 'o', '', '[]', 'normal', 'normal'])
        await migrate(database, [...migrations, added])
        expect(await countOf(database)).toBe(1)
        expect(await database.query('SELECT id FROM drawbridge_api_keys')).toEqual([{ id: 'k' }])
      })

      it('leave nothing half done', async () => {
        const database = await connect()
        const broken: Migration = { version: newest + 1, name: 'broken', statements: ['CREATE TABLE things (id TEXT)', 'CREATE TABEL'] }
        await expect(migrate(database, [...migrations, broken])).rejects.toMatchObject({ code: 'storage_unavailable' })
        await migrate(database, [...migrations, added])
        expect(await countOf(database)).toBe(1)
      })

      it('refuse a database that a newer program has used', async () => {
        const database = await connect()
        await migrate(database, [...migrations, added])
        await expect(migrate(database)).rejects.toThrow(`The database has version ${added.version} ("things"), and this program knows versions up to ${newest}`)
      })
    })
  })
}

/** Databases of tests say nothing. */
export const silent = { warn: () => {} }
