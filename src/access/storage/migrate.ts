import { StartupError } from '../../domain/startup-error.ts'
import type { Database } from './database.ts'
import { apiKeys } from './migrations/0001-api-keys.ts'
import { usage } from './migrations/0002-usage.ts'
import { limits } from './migrations/0003-limits.ts'
import { batches } from './migrations/0004-batches.ts'

/** A change of the tables. Once released it never changes; what must be different is another migration. */
export interface Migration {
  /** Counts up from 1 without gaps. */
  readonly version: number
  readonly name: string
  /** In the words that SQLite and PostgreSQL share; tables begin with `drawbridge_`, because a database may have others. */
  readonly statements: readonly string[]
}

export const migrations: readonly Migration[] = [apiKeys, usage, limits, batches]

/** Any number that other programs on the same PostgreSQL are unlikely to take. */
const lockNumber = 7_203_541_288

/**
 * Brings the tables to this program's version. Of several processes that start at once one does it and the others wait.
 * @throws StartupError when a newer program has changed the tables; ServerError `storage_unavailable`
 */
export async function migrate (database: Database, wanted: readonly Migration[] = migrations, now: () => number = Date.now): Promise<void> {
  await database.transaction(async ({ query }) => {
    // SQLite has one writer at a time as it is.
    if (database.kind === 'postgresql') await query('SELECT pg_advisory_xact_lock(?)', [lockNumber])
    await query('CREATE TABLE IF NOT EXISTS drawbridge_migrations (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at BIGINT NOT NULL)')
    const [newest] = await query('SELECT version, name FROM drawbridge_migrations ORDER BY version DESC LIMIT 1')
    const version = Number(newest?.['version'] ?? 0)
    const known = wanted.at(-1)?.version ?? 0
    if (version > known) {
      throw new StartupError(`The database has version ${version} ("${newest?.['name']}"), and this program knows versions up to ${known}; a newer program has used it, so use that one, or another database`)
    }
    for (const migration of wanted) {
      if (migration.version <= version) continue
      for (const statement of migration.statements) await query(statement)
      await query('INSERT INTO drawbridge_migrations (version, name, applied_at) VALUES (?, ?, ?)', [migration.version, migration.name, now()])
    }
  })
}
