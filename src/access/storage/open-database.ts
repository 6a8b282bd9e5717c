import { existsSync, mkdirSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import type { Config } from '../../config/config.ts'
import { fileErrorText } from '../../domain/file-error-text.ts'
import { StartupError } from '../../domain/startup-error.ts'
import type { Database, DatabaseLogger } from './database.ts'
import { migrate } from './migrate.ts'
import { userDataFolder } from './user-data-folder.ts'

export interface OpenDatabaseOptions {
  readonly config: Pick<Config, 'dataDir' | 'databaseUrl'>
  readonly logger: DatabaseLogger
  /** The name of an option's place, for messages. */
  readonly sourceOf: (flag: string) => string
  readonly environment: NodeJS.ProcessEnv
  readonly home?: string
}

const fileName = 'drawbridge.db'

/**
 * Opens the server's database, with its tables up to date: PostgreSQL where there is a `--database-url`, else a file in the data folder. The
 * drivers are loaded only when they are used: SQLite's is native code.
 *
 * @returns null where there is none: it is off, or nobody has asked for one and the user's data folder cannot be written
 * @throws StartupError when it cannot be opened. A database that is there is never passed over: that would be a server without keys.
 */
export async function openDatabase ({ config, logger, sourceOf, environment, home = homedir() }: OpenDatabaseOptions): Promise<Database | null> {
  if (config.databaseUrl !== 'off') {
    const { PostgresqlDatabase } = await import('./postgresql-database.ts')
    return await ready(new PostgresqlDatabase(config.databaseUrl, logger), `The database of ${sourceOf('database-url')}`)
  }
  if (config.dataDir === 'off') return null
  const isWanted = config.dataDir !== 'auto'
  const folder = isWanted ? path.resolve(config.dataDir) : userDataFolder(environment, home)
  if (folder === null) return null
  const file = path.join(folder, fileName)
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    if (!isWanted) return null
    throw new StartupError(`The folder ${folder} (${sourceOf('data-dir')}) cannot be made: ${fileErrorText(error)}`, { cause: error })
  }
  const isThere = existsSync(file)
  let database: Database
  try {
    const { SqliteDatabase } = await import('./sqlite-database.ts')
    database = new SqliteDatabase(file, logger)
  } catch (error) {
    if (!isWanted && !isThere) return null
    throw new StartupError(`The database ${file} (${sourceOf('data-dir')}) cannot be opened: ${(error as Error).message}`, { cause: error })
  }
  return await ready(database, `The database ${file}`)
}

async function ready (database: Database, name: string): Promise<Database> {
  try {
    await migrate(database)
    return database
  } catch (error) {
    await database.close()
    if (error instanceof StartupError) throw error
    const { cause = error } = error as Error
    // A refused connection to a name of several addresses has no message of its own.
    const reason = cause instanceof AggregateError ? (cause.errors as readonly Error[]).map(({ message }) => message).join('; ') : (cause as Error).message
    throw new StartupError(`${name} cannot be used: ${reason}`, { cause: error })
  }
}
