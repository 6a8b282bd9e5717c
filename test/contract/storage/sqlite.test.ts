import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { afterAll, describe, expect, it } from 'vitest'
import { SqliteDatabase } from '../../../src/access/storage/sqlite-database.ts'
import { batchStoreContract } from './batch-store-contract.ts'
import { databaseContract, silent } from './database-contract.ts'
import { fileStoreContract } from './file-store-contract.ts'
import { databaseLimitContract, memoryLimitContract } from './limit-store-contract.ts'
import { keyStoreContract } from './key-store-contract.ts'
import { usageStoreContract } from './usage-store-contract.ts'

const root = mkdtempSync(path.join(tmpdir(), 'drawbridge-sqlite-'))
afterAll(() => rmSync(root, { recursive: true }))

const setUp = async () => {
  const file = path.join(mkdtempSync(path.join(root, 'x')), 'drawbridge.db')
  return { connect: async () => new SqliteDatabase(file, silent) }
}

databaseContract('SQLite', setUp)
keyStoreContract('SQLite', setUp)
usageStoreContract('SQLite', setUp)
fileStoreContract('SQLite', setUp)
batchStoreContract('SQLite', setUp)
databaseLimitContract('SQLite', setUp)
memoryLimitContract()

describe('a SQLite file', () => {
  it('is for its user alone, and is there for the next process', async () => {
    const file = path.join(root, 'own.db')
    const first = new SqliteDatabase(file, silent)
    await first.query('CREATE TABLE things (id TEXT)')
    await first.query('INSERT INTO things (id) VALUES (?)', ['a'])
    expect(statSync(file).mode & 0o777).toBe(0o600)
    const settings = [await first.query('PRAGMA journal_mode'), await first.query('PRAGMA synchronous')]
    expect(settings).toEqual([[{ journal_mode: 'wal' }], [{ synchronous: 2 }]])
    // Not closed: as if the process had been killed.
    const second = new SqliteDatabase(file, silent)
    expect(await second.query('SELECT id FROM things')).toEqual([{ id: 'a' }])
    await first.close()
    await second.close()
  })

  it('lets the event loop go on while another process writes', async () => {
    const file = path.join(root, 'busy.db')
    const [writer, waiting] = [new SqliteDatabase(file, silent), new SqliteDatabase(file, silent)]
    await writer.query('CREATE TABLE things (id TEXT)')
    let written: Promise<unknown> = Promise.resolve()
    await writer.transaction(async ({ query }) => {
      await query('INSERT INTO things (id) VALUES (?)', ['writer'])
      written = waiting.query('INSERT INTO things (id) VALUES (?)', ['waiting'])
      // Timers that run while the other one waits.
      for (let turn = 0; turn < 5; turn++) await delay(1)
    })
    await written
    expect(await writer.query('SELECT id FROM things')).toEqual([{ id: 'writer' }, { id: 'waiting' }])
    await writer.close()
    await waiting.close()
  })
})
