import { ServerError } from '../../domain/errors.ts'
import type { Database, Queries, Row, SqlValue, TransactionOptions } from './database.ts'

/** A database, and whether it answers: for whoever watches the server. */
export class WatchedDatabase implements Database {
  readonly #database: Database
  #isUp = true
  #failureCount = 0
  #isLooking = false

  constructor (database: Database) {
    this.#database = database
  }

  get kind (): Database['kind'] { return this.#database.kind }
  get name (): string { return this.#database.name }

  /** Whether it answered when it was last asked. */
  get isUp (): boolean { return this.#isUp }

  /** How often it gave no answer. */
  get failureCount (): number { return this.#failureCount }

  /** Asks it, so that what is said of it is true while nobody else asks. Whoever wants to know does not wait for it, and sees it the next time. */
  look (): void {
    if (this.#isLooking) return
    this.#isLooking = true
    this.query('SELECT 1').catch(() => {}).finally(() => { this.#isLooking = false })
  }

  async query (sql: string, parameters: readonly SqlValue[] = []): Promise<readonly Row[]> {
    return await this.#watch(this.#database.query(sql, parameters))
  }

  async transaction<Value> (work: (queries: Queries) => Promise<Value>, options?: TransactionOptions): Promise<Value> {
    return await this.#watch(this.#database.transaction(work, options))
  }

  async close (): Promise<void> {
    await this.#database.close()
  }

  async #watch<Value> (answer: Promise<Value>): Promise<Value> {
    try {
      const value = await answer
      this.#isUp = true
      return value
    } catch (error) {
      // What the work of a transaction throws says nothing of the database.
      if (error instanceof ServerError && error.code === 'storage_unavailable') {
        this.#isUp = false
        this.#failureCount++
      }
      throw error
    }
  }
}
