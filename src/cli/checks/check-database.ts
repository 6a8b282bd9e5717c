import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { StoredKeyCount } from '../../access/keys/stored-key-count.ts'
import type { Database } from '../../access/storage/database.ts'
import { userDataFolder } from '../../access/storage/user-data-folder.ts'
import type { Config } from '../../config/config.ts'
import { checkWritable } from './check-writable.ts'
import type { Finding } from './finding.ts'

export interface DatabaseCheck {
  readonly finding: Finding
  /** How many keys are in use; 0 where nobody can tell. */
  readonly keyCount: number
}

const about = 'database'
const silent = { warn: (): void => {} }

/** Looks at the database without making or changing it: its tables are the server's to bring up to date. */
export async function checkDatabase ({ databaseUrl, dataDir }: Pick<Config, 'databaseUrl' | 'dataDir'>, environment: NodeJS.ProcessEnv): Promise<DatabaseCheck> {
  if (databaseUrl !== 'off') {
    const { PostgresqlDatabase } = await import('../../access/storage/postgresql-database.ts')
    return await look(() => new PostgresqlDatabase(databaseUrl, silent))
  }
  const folder = dataDir === 'off' ? null : dataDir === 'auto' ? userDataFolder(environment, homedir()) : path.resolve(dataDir)
  if (folder === null) return { finding: { about, state: 'ok', text: 'There is none: only the keys of the settings, and no record of usage' }, keyCount: 0 }
  const file = path.join(folder, 'drawbridge.db')
  const writable = checkWritable(about, file)
  if (!existsSync(file) || writable.state === 'problem') return { finding: writable, keyCount: 0 }
  const { SqliteDatabase } = await import('../../access/storage/sqlite-database.ts')
  return await look(() => new SqliteDatabase(file, silent))
}

async function look (open: () => Database): Promise<DatabaseCheck> {
  let database: Database | null = null
  try {
    database = open()
    await database.query('SELECT 1')
    const keyCount = await countKeys(database)
    const keys = keyCount === null ? 'its tables are made at the start' : keyCount === 1 ? 'it has 1 key' : `it has ${keyCount} keys`
    return { finding: { about, state: 'ok', text: `${database.name} answers; ${keys}` }, keyCount: keyCount ?? 0 }
  } catch (error) {
    const { cause = error } = error as Error
    return { finding: { about, state: 'problem', text: `${database?.name ?? 'It'} cannot be used: ${(cause as Error).message}` }, keyCount: 0 }
  } finally {
    await database?.close()
  }
}

/** Null where there is no table of keys yet. */
async function countKeys (database: Database): Promise<number | null> {
  const count = new StoredKeyCount(database)
  try {
    await count.update()
    return count.count
  } catch {
    return null
  }
}
