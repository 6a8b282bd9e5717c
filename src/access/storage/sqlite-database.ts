import { chmodSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import Libsql from 'libsql'
import { ServerError } from '../../domain/errors.ts'
import type { Database, DatabaseLogger, Queries, Row, SqlValue, TransactionOptions } from './database.ts'

/** How long the driver may block the event loop while another process writes; after that the wait goes on without blocking. */
const blockingMs = 20
const retryMs = 20
/** The same while the file is opened, when nobody is served yet. */
const openingMs = 5000
const patienceMs = 10_000

/** Far more than the program has; only a mistake (a statement with values in its text) reaches it. */
const mostStatements = 256

/**
 * A database in one file, by a driver that answers at once: every call blocks the event loop, so statements are prepared, few and small.
 * Several processes of one machine may have it open.
 *
 * A commit is on the disk before it is told of (`synchronous = FULL`): a key that was revoked stays revoked, whatever happens to the power.
 */
export class SqliteDatabase implements Database {
  readonly kind = 'sqlite'
  readonly name: string
  readonly #driver: Libsql.Database
  readonly #logger: DatabaseLogger
  readonly #statements = new Map<string, Libsql.Statement>()
  /** The end of what is under way: there is one connection, and a transaction has it to itself. */
  #last: Promise<unknown> = Promise.resolve()

  /**
   * @param file made if it is not there; its folder must be
   * @throws the driver's error
   */
  constructor (file: string, logger: DatabaseLogger) {
    this.name = file
    this.#logger = logger
    this.#driver = new Libsql(file, { timeout: openingMs })
    try {
      this.#driver.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA busy_timeout = ${blockingMs}`)
      // Whoever can read it can try keys against their digests; not that it helps.
      chmodSync(file, 0o600)
    } catch (error) {
      this.#driver.close()
      throw error
    }
  }

  async query (sql: string, parameters: readonly SqlValue[] = []): Promise<readonly Row[]> {
    return await this.#inTurn(async () => await this.#whenFree(() => this.#run(sql, parameters)))
  }

  async transaction<Value> (work: (queries: Queries) => Promise<Value>, { isDurable = true }: TransactionOptions = {}): Promise<Value> {
    return await this.#inTurn(async () => {
      if (isDurable) return await this.#transact(work)
      await this.#whenFree(() => this.#driver.exec('PRAGMA synchronous = NORMAL'))
      try {
        return await this.#transact(work)
      } finally {
        this.#driver.exec('PRAGMA synchronous = FULL')
      }
    })
  }

  async #transact<Value> (work: (queries: Queries) => Promise<Value>): Promise<Value> {
    // At once, not at the first write: what is read is then true until the end.
    await this.#whenFree(() => this.#driver.exec('BEGIN IMMEDIATE'))
    try {
      const value = await work({ query: async (sql, parameters = []) => await this.#whenFree(() => this.#run(sql, parameters)) })
      await this.#whenFree(() => this.#driver.exec('COMMIT'))
      return value
    } catch (error) {
      // After some errors SQLite has done it by itself.
      if (this.#driver.inTransaction) this.#driver.exec('ROLLBACK')
      throw error
    }
  }

  async close (): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#driver.open) this.#driver.close()
    })
  }

  #run (sql: string, parameters: readonly SqlValue[]): readonly Row[] {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      if (this.#statements.size >= mostStatements) this.#statements.clear()
      statement = this.#driver.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement.all(parameters) as readonly Row[]
  }

  async #inTurn<Value> (work: () => Promise<Value>): Promise<Value> {
    const turn = this.#last.then(work)
    this.#last = turn.catch(() => {})
    return await turn
  }

  /** Tries until other processes let it. */
  async #whenFree<Value> (work: () => Value): Promise<Value> {
    const end = performance.now() + patienceMs
    for (;;) {
      try {
        return work()
      } catch (error) {
        const isBusy = String((error as { code?: unknown }).code).startsWith('SQLITE_BUSY')
        if (!isBusy || performance.now() > end) {
          this.#logger.warn({ err: error }, 'the database has failed')
          throw new ServerError('storage_unavailable', 'The server\'s database gives no answer', { cause: error })
        }
        await delay(retryMs)
      }
    }
  }
}
