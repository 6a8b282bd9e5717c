import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PostgresqlDatabase } from '../../../src/access/storage/postgresql-database.ts'
import { hasPostgresql, startPostgresql, type PostgresqlServer } from '../../support/postgresql-server.ts'
import { batchStoreContract } from './batch-store-contract.ts'
import { databaseContract, silent } from './database-contract.ts'
import { fileStoreContract } from './file-store-contract.ts'
import { databaseLimitContract } from './limit-store-contract.ts'
import { keyStoreContract } from './key-store-contract.ts'
import { usageStoreContract } from './usage-store-contract.ts'

describe.runIf(hasPostgresql)('where PostgreSQL is installed (Debian: apt-get install postgresql)', () => {
  let server: PostgresqlServer
  let count = 0
  beforeAll(async () => { server = await startPostgresql() })
  afterAll(async () => await server[Symbol.asyncDispose]())

  const setUp = async () => {
    const url = await server.createDatabase(`test_${++count}`)
    return { connect: async () => new PostgresqlDatabase(url, silent) }
  }

  databaseContract('PostgreSQL', setUp)
  keyStoreContract('PostgreSQL', setUp)
  usageStoreContract('PostgreSQL', setUp)
  fileStoreContract('PostgreSQL', setUp)
  batchStoreContract('PostgreSQL', setUp)
  databaseLimitContract('PostgreSQL', setUp)

  it('answers again after the server has cut its connections', async () => {
    const url = await server.createDatabase('cut')
    const [database, other] = [new PostgresqlDatabase(url, silent), new PostgresqlDatabase(url, silent)]
    await database.query('SELECT 1')
    await other.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ? AND pid <> pg_backend_pid()', ['cut'])
    const answers = [await database.query('SELECT 1 AS one').catch(() => null), await database.query('SELECT 1 AS one')]
    expect(answers.at(-1)).toEqual([{ one: 1 }])
    await database.close()
    await other.close()
  })
})
