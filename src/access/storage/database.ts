export type SqlValue = string | number | null

export type Row = Readonly<Record<string, SqlValue>>

export interface Queries {
  /**
   * Runs one statement and gives its rows; what writes says with `RETURNING` what it wrote.
   *
   * @param sql with `?` in the place of each parameter, in the words that SQLite and PostgreSQL share: `TEXT`, `INTEGER`, `BIGINT`,
   * `DOUBLE PRECISION`, `ON CONFLICT … DO UPDATE`, `RETURNING`. Truth is 0 or 1, lists are JSON in `TEXT`, times are milliseconds in `BIGINT`.
   * @throws ServerError `storage_unavailable`
   */
  query (sql: string, parameters?: readonly SqlValue[]): Promise<readonly Row[]>
}

/**
 * Where the server keeps what must outlive it. Stores (of keys, and whatever else) are written once, over this; a store brings its tables as a
 * file in `migrations/`.
 */
export interface Database extends Queries {
  readonly kind: 'sqlite' | 'postgresql'
  /** For people: the file, or the server and the database. No secrets. */
  readonly name: string
  /**
   * Runs queries that all take effect, or none. In SQLite transactions follow each other, and writers of other processes wait, so
   * `work` awaits nothing but its own queries. In PostgreSQL they run at once and read what is committed: what depends on what was
   * read belongs into the condition of one `UPDATE … RETURNING`, or reads with a lock.
   *
   * @throws what `work` throws, after everything is undone; ServerError `storage_unavailable`
   */
  transaction<Value> (work: (queries: Queries) => Promise<Value>, options?: TransactionOptions): Promise<Value>
  /** Lets what has begun end. */
  close (): Promise<void>
}

export interface TransactionOptions {
  /**
   * Whether it is on the disk when it is told of; true unless said otherwise. What is not outlives the process all the same, and only a loss of power may
   * take the last moments of it.
   */
  readonly isDurable?: boolean
}

export interface DatabaseLogger {
  warn (details: object, message: string): void
}
