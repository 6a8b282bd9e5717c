import { describe, expect, it } from 'vitest'
import type { Database } from '../../../../src/access/storage/database.ts'
import { WatchedDatabase } from '../../../../src/access/storage/watched-database.ts'
import { ServerError } from '../../../../src/domain/errors.ts'

function setUp () {
  const asked: string[] = []
  let failure: Error | null = null
  const query = async (sql: string) => {
    asked.push(sql)
    if (failure !== null) throw failure
    return []
  }
  const database: Database = { kind: 'sqlite', name: 'a file', query, transaction: async (work) => await work({ query }), close: async () => { asked.push('close') } }
  return { asked, watched: new WatchedDatabase(database), fail: (error: Error | null) => { failure = error } }
}

const down = new ServerError('storage_unavailable', 'no answer')

describe('a database that is watched', () => {
  it('is asked as it would be otherwise', async () => {
    const { asked, watched } = setUp()
    expect(await watched.query('a')).toEqual([])
    expect(await watched.transaction(async ({ query }) => (await query('b')).length)).toBe(0)
    await watched.close()
    expect(asked).toEqual(['a', 'b', 'close'])
    expect(watched).toMatchObject({ kind: 'sqlite', name: 'a file', isUp: true, failureCount: 0 })
  })

  it('is down from when it gives no answer until it gives one', async () => {
    const { watched, fail } = setUp()
    fail(down)
    await expect(watched.query('a')).rejects.toBe(down)
    await expect(watched.transaction(async ({ query }) => await query('b'))).rejects.toBe(down)
    expect(watched).toMatchObject({ isUp: false, failureCount: 2 })
    fail(null)
    await watched.query('a')
    expect(watched).toMatchObject({ isUp: true, failureCount: 2 })
  })

  it('is not down because the work of a transaction fails', async () => {
    const { watched } = setUp()
    await expect(watched.transaction(async () => { throw new TypeError('x') })).rejects.toThrow('x')
    expect(watched).toMatchObject({ isUp: true, failureCount: 0 })
  })

  it('is asked once at a time by who looks, and nobody hears of the failure', async () => {
    const { asked, watched, fail } = setUp()
    fail(down)
    watched.look()
    watched.look()
    await new Promise(setImmediate)
    expect(asked).toEqual(['SELECT 1'])
    expect(watched.isUp).toBe(false)
    fail(null)
    watched.look()
    await new Promise(setImmediate)
    expect(watched.isUp).toBe(true)
  })
})
