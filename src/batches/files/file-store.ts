import { randomBytes } from 'node:crypto'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Database, Queries, Row, SqlValue } from '../../access/storage/database.ts'
import { ServerError } from '../../domain/errors.ts'
import { checkQuota, type StorageQuota } from '../storage-quota.ts'
import type { FileOwner, FilePurpose, StoredFile } from './stored-file.ts'

export interface FileListWish {
  readonly limit: number
  readonly order: 'asc' | 'desc'
  /** The id of the file before the page. */
  readonly after?: string | undefined
  readonly purpose?: string | undefined
}

export interface FileStoreOptions {
  readonly database: Database
  readonly quota: StorageQuota
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

/** An upload that nobody has added to for so long was left behind by a server that has ended. */
const staleUploadMs = 60 * 60 * 1000

/** Removed at once; each time holds up the event loop where the database is SQLite. */
const sweepChunks = 16

export const createFileId = (): string => `file-${randomBytes(16).toString('hex')}`

/**
 * Files in the database, as text in pieces, so that replicas share them and no file is ever in memory as a whole. One that is being written is
 * seen by nobody; one that was deleted, or has expired, is gone at once, and its pieces are removed little by little.
 */
export class FileStore {
  readonly #database: Database
  readonly #quota: StorageQuota
  readonly #now: () => number
  #swept: Promise<void> | null = null
  #isClosed = false

  constructor ({ database, quota, now = Date.now }: FileStoreOptions) {
    this.#database = database
    this.#quota = quota
    this.#now = now
  }

  /** @returns the id of a file that nobody sees yet */
  async begin ({ owner, tenant }: FileOwner): Promise<string> {
    const id = createFileId()
    const now = this.#now()
    await this.#database.query(
      'INSERT INTO drawbridge_files (id, owner, tenant, purpose, filename, bytes, state, created_at, touched_at) VALUES (?, ?, ?, \'\', \'\', 0, \'uploading\', ?, ?)',
      [id, owner, tenant, now, now]
    )
    return id
  }

  /**
   * Adds the next piece to a file that was begun.
   * @param owner whose quota it counts to; null for what must be kept whatever it takes
   * @throws ServerError `storage_quota_exceeded`, `storage_unavailable`
   */
  async append (id: string, place: number, content: string, owner: string | null): Promise<void> {
    const bytes = Buffer.byteLength(content)
    await this.#database.transaction(async (queries) => {
      if (owner !== null) await checkQuota(queries, owner, bytes, this.#quota)
      await queries.query('INSERT INTO drawbridge_file_chunks (file_id, place, content) VALUES (?, ?, ?)', [id, place, content])
      const touched = await queries.query('UPDATE drawbridge_files SET bytes = bytes + ?, touched_at = ? WHERE id = ? AND state = \'uploading\' RETURNING id', [bytes, this.#now(), id])
      if (touched.length === 0) throw tooSlow()
    })
  }

  /**
   * Makes a file that was begun one that is there.
   * @param queries of a transaction that it is a part of
   */
  async publish (id: string, { purpose, filename, ttlMs }: { readonly purpose: FilePurpose, readonly filename: string, readonly ttlMs: number | null }, queries: Queries = this.#database): Promise<StoredFile> {
    const now = this.#now()
    const [row] = await queries.query(
      'UPDATE drawbridge_files SET purpose = ?, filename = ?, created_at = ?, expires_at = ?, state = \'processed\' WHERE id = ? AND state = \'uploading\' RETURNING *',
      [purpose, filename, now, ttlMs === null ? null : now + ttlMs, id]
    )
    if (row === undefined) throw tooSlow()
    return toStoredFile(row)
  }

  /** Takes back a file that was begun. */
  async discard (id: string): Promise<void> {
    await this.#database.query('UPDATE drawbridge_files SET state = \'deleted\' WHERE id = ? AND state = \'uploading\'', [id])
  }

  async find (tenant: string, id: string): Promise<StoredFile | null> {
    const [row] = await this.#database.query(`SELECT * FROM drawbridge_files WHERE id = ? AND tenant = ? AND ${isThere}`, [id, tenant, this.#now()])
    return row === undefined ? null : toStoredFile(row)
  }

  /** @throws ServerError `file_not_found` when the file before the page is none of them */
  async list (tenant: string, { limit, order, after, purpose }: FileListWish): Promise<{ readonly files: readonly StoredFile[], readonly hasMore: boolean }> {
    const before = after === undefined ? null : await this.find(tenant, after)
    if (after !== undefined && before === null) throw new ServerError('file_not_found', `No such File object: ${after}`, { param: 'after' })
    const conditions: string[] = []
    const values: SqlValue[] = []
    if (before !== null) {
      conditions.push(`AND (created_at, id) ${order === 'asc' ? '>' : '<'} (?, ?)`)
      values.push(before.createdAt, before.id)
    }
    if (purpose !== undefined) {
      conditions.push('AND purpose = ?')
      values.push(purpose)
    }
    const direction = order === 'asc' ? 'ASC' : 'DESC'
    const rows = await this.#database.query(
      `SELECT * FROM drawbridge_files WHERE tenant = ? AND ${isThere} ${conditions.join(' ')} ORDER BY created_at ${direction}, id ${direction} LIMIT ?`,
      [tenant, this.#now(), ...values, limit + 1]
    )
    return { files: rows.slice(0, limit).map(toStoredFile), hasMore: rows.length > limit }
  }

  /** @returns whether it was there */
  async remove (tenant: string, id: string): Promise<boolean> {
    const rows = await this.#database.query(`UPDATE drawbridge_files SET state = 'deleted' WHERE id = ? AND tenant = ? AND ${isThere} RETURNING id`, [id, tenant, this.#now()])
    return rows.length > 0
  }

  /** The pieces of a file, in their order. Ends early when it is removed meanwhile; its `bytes` tell. */
  async * read (id: string): AsyncGenerator<string> {
    for (let place = 0; ; place++) {
      const [row] = await this.#database.query('SELECT content FROM drawbridge_file_chunks WHERE file_id = ? AND place = ?', [id, place])
      if (row === undefined) return
      yield String(row['content'])
    }
  }

  /** Removes what has expired, was deleted, or was left half written, a little at a time. */
  async sweep (): Promise<void> {
    this.#swept ??= this.#removeOld().finally(() => { this.#swept = null })
    await this.#swept
  }

  /** Lets what has begun end. */
  async close (): Promise<void> {
    this.#isClosed = true
    await this.#swept?.catch(() => {})
  }

  async #removeOld (): Promise<void> {
    const now = this.#now()
    await this.#database.query(
      'UPDATE drawbridge_files SET state = \'deleted\' WHERE (state = \'processed\' AND expires_at <= ?) OR (state = \'uploading\' AND touched_at <= ?)', [now, now - staleUploadMs]
    )
    const files = await this.#database.query('SELECT id FROM drawbridge_files WHERE state = \'deleted\'')
    for (const { id = null } of files) {
      for (let count = sweepChunks; count === sweepChunks;) {
        if (this.#isClosed) return
        const removed = await this.#database.query(
          'DELETE FROM drawbridge_file_chunks WHERE file_id = ? AND place IN (SELECT place FROM drawbridge_file_chunks WHERE file_id = ? ORDER BY place LIMIT ?) RETURNING place',
          [id, id, sweepChunks]
        )
        count = removed.length
        await nextTurn()
      }
      await this.#database.query('DELETE FROM drawbridge_files WHERE id = ? AND state = \'deleted\'', [id])
    }
  }
}

const tooSlow = (): ServerError => new ServerError('storage_unavailable', 'Writing the file took too long, and it was given up')

/** With the present time as its parameter. */
const isThere = 'state = \'processed\' AND (expires_at IS NULL OR expires_at > ?)'

const toStoredFile = (row: Row): StoredFile => ({
  id: String(row['id']),
  tenant: String(row['tenant']),
  purpose: row['purpose'] as FilePurpose,
  filename: String(row['filename']),
  bytes: Number(row['bytes']),
  createdAt: Number(row['created_at']),
  expiresAt: row['expires_at'] == null ? null : Number(row['expires_at'])
})
