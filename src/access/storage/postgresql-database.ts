import pg from 'pg'
import { ServerError } from '../../domain/errors.ts'
import type { Database, DatabaseLogger, Queries, Row, SqlValue, TransactionOptions } from './database.ts'

/** `BIGINT`, which the driver gives as text because it may be too large for a number; times and counts are not. */
const bigintType = 20

const connectTimeoutMs = 5000
const queryTimeoutMs = 10_000
const mostConnections = 8

/** `?` is for SQLite; PostgreSQL counts. No statement has a question mark of another meaning. */
function numbered (sql: string): string {
  let count = 0
  return sql.replaceAll('?', () => `$${++count}`)
}

/** A database that several replicas of the server share. */
export class PostgresqlDatabase implements Database {
  readonly kind = 'postgresql'
  readonly name: string
  readonly #pool: pg.Pool
  readonly #logger: DatabaseLogger

  /** Connects when it is first asked. */
  constructor (url: string, logger: DatabaseLogger) {
    const { host, pathname } = new URL(url)
    this.name = `postgres://${host}${pathname}`
    this.#logger = logger
    this.#pool = new pg.Pool({
      connectionString: url,
      application_name: 'drawbridge',
      max: mostConnections,
      connectionTimeoutMillis: connectTimeoutMs,
      query_timeout: queryTimeoutMs,
      statement_timeout: queryTimeoutMs,
      types: { getTypeParser: ((id: number, format?: 'text') => id === bigintType ? Number : pg.types.getTypeParser(id, format)) as typeof pg.types.getTypeParser }
    })
    // Of connections that nobody uses; the next query makes a new one.
    this.#pool.on('error', (error) => logger.warn({ err: error }, 'a connection to the database is lost'))
  }

  async query (sql: string, parameters: readonly SqlValue[] = []): Promise<readonly Row[]> {
    return await this.#answer(this.#pool.query<Row>(numbered(sql), [...parameters]))
  }

  async transaction<Value> (work: (queries: Queries) => Promise<Value>, { isDurable = true }: TransactionOptions = {}): Promise<Value> {
    let client: pg.PoolClient
    try {
      client = await this.#pool.connect()
    } catch (error) {
      throw this.#failure(error)
    }
    const query = async (sql: string, parameters: readonly SqlValue[] = []): Promise<readonly Row[]> =>
      await this.#answer(client.query<Row>(numbered(sql), [...parameters]))
    let broken: Error | undefined
    try {
      await query(isDurable ? 'BEGIN' : 'BEGIN; SET LOCAL synchronous_commit = off')
      const value = await work({ query })
      await query('COMMIT')
      return value
    } catch (error) {
      await query('ROLLBACK').catch((failure: Error) => { broken = failure })
      throw error
    } finally {
      // One that cannot even roll back is not used again.
      client.release(broken)
    }
  }

  async close (): Promise<void> {
    if (!this.#pool.ended && !this.#pool.ending) await this.#pool.end()
  }

  async #answer (result: Promise<pg.QueryResult<Row>>): Promise<readonly Row[]> {
    try {
      return (await result).rows
    } catch (error) {
      throw this.#failure(error)
    }
  }

  #failure (error: unknown): ServerError {
    this.#logger.warn({ err: error }, 'the database has failed')
    return new ServerError('storage_unavailable', 'The server\'s database gives no answer', { cause: error })
  }
}
