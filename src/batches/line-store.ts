import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Database, Queries } from '../access/storage/database.ts'
import { type BatchLine, isSuccess, type LineResult, type ReturnedLine, type WrittenLine } from './batch-line.ts'
import { checkQuota, type StorageQuota } from './storage-quota.ts'

/** A line of an input that is good. */
export interface NewLine {
  readonly line: number
  /** As JSON, which can hold what a database's text cannot. */
  readonly customId: string
  /** The body of its request, as JSON. */
  readonly request: string
}

/** `available_at` of lines that have their result. */
const never = Number.MAX_SAFE_INTEGER

/** Removed at once; each time holds up the event loop where the database is SQLite. */
const removeLines = 200

/**
 * The lines of batches that have not ended. A line belongs to the server that has claimed it until its lease is over; a result is taken from it alone,
 * and once, so that however often a line was begun it has one result.
 */
export class LineStore {
  readonly #database: Database
  readonly #quota: StorageQuota
  readonly #now: () => number

  /** @param now milliseconds since 1970 */
  constructor (database: Database, quota: StorageQuota, now: () => number = Date.now) {
    this.#database = database
    this.#quota = quota
    this.#now = now
  }

  /**
   * Adds lines of an input that is being looked at.
   * @throws ServerError `storage_quota_exceeded`
   */
  async add (batchId: string, owner: string, lines: readonly NewLine[]): Promise<void> {
    const bytes = lines.reduce((sum, { request }) => sum + Buffer.byteLength(request), 0)
    await this.#database.transaction(async (queries) => {
      await checkQuota(queries, owner, bytes, this.#quota)
      for (const { line, customId, request } of lines) {
        await queries.query('INSERT INTO drawbridge_batch_lines (batch_id, line, custom_id, request, available_at, attempts) VALUES (?, ?, ?, ?, 0, 0)', [batchId, line, customId, request])
      }
      await queries.query('UPDATE drawbridge_batches SET held_bytes = held_bytes + ?, holds_lines = 1 WHERE id = ?', [bytes, batchId])
    })
  }

  /** Takes lines that wait, in their order, for a server to run them until the lease is over. */
  async claim (batchId: string, worker: string, limit: number, leaseMs: number): Promise<readonly BatchLine[]> {
    const now = this.#now()
    // Without it servers that claim at once would wait for each other, and find the same lines taken.
    const lock = this.#database.kind === 'postgresql' ? 'FOR UPDATE SKIP LOCKED' : ''
    return await this.#database.transaction(async ({ query }) => {
      // First to see which, and then to take them: in one statement PostgreSQL may look for them several times, and take more than the limit.
      const rows = await query(
        `SELECT line, request, attempts FROM drawbridge_batch_lines WHERE batch_id = ? AND available_at <= ? ORDER BY available_at, line LIMIT ? ${lock}`, [batchId, now, limit]
      )
      for (const { line = null } of rows) {
        await query('UPDATE drawbridge_batch_lines SET worker = ?, available_at = ?, attempts = attempts + 1 WHERE batch_id = ? AND line = ?', [worker, now + leaseMs, batchId, line])
      }
      return rows.map(({ line, request, attempts }) => ({ batchId, line: Number(line), request: String(request), attempts: Number(attempts) + 1 }))
    })
  }

  /** Keeps lines that run for longer. */
  async renew (lines: readonly Pick<BatchLine, 'batchId' | 'line'>[], worker: string, leaseMs: number): Promise<void> {
    if (lines.length === 0) return
    const until = this.#now() + leaseMs
    await this.#database.transaction(async ({ query }) => {
      for (const { batchId, line } of inOrder(lines)) {
        await query('UPDATE drawbridge_batch_lines SET available_at = ? WHERE batch_id = ? AND line = ? AND worker = ? AND done_at IS NULL', [until, batchId, line, worker])
      }
    })
  }

  /**
   * Writes results, and gives back what is to run again, all in one commit. A result of a line that the server has no more, or of a batch that is
   * sealed, is dropped.
   * @returns those that were taken
   */
  async settle (worker: string, results: readonly LineResult[], returned: readonly ReturnedLine[]): Promise<readonly LineResult[]> {
    if (results.length === 0 && returned.length === 0) return []
    return await this.#database.transaction(async (queries) => {
      const taken: LineResult[] = []
      // In the same order everywhere, so that two servers never wait for each other.
      for (const batchId of [...new Set(results.map((result) => result.batchId))].sort()) {
        const [open] = await queries.query('UPDATE drawbridge_batches SET holds_lines = 1 WHERE id = ? AND sealed_at IS NULL RETURNING id', [batchId])
        if (open === undefined) continue
        const written = await this.#write(queries, worker, inOrder(results.filter((result) => result.batchId === batchId)))
        await addToBatch(queries, batchId, written)
        taken.push(...written)
      }
      for (const { batchId, line, availableAt, isAttempt } of inOrder(returned)) {
        await queries.query(
          'UPDATE drawbridge_batch_lines SET worker = NULL, available_at = ?, attempts = attempts - ? WHERE batch_id = ? AND line = ? AND worker = ? AND done_at IS NULL',
          [availableAt, isAttempt ? 0 : 1, batchId, line, worker]
        )
      }
      return taken
    })
  }

  async #write ({ query }: Queries, worker: string, results: readonly LineResult[]): Promise<readonly LineResult[]> {
    const written: LineResult[] = []
    for (const result of results) {
      const { batchId, line, statusCode, requestId, response } = result
      const rows = await query(
        `UPDATE drawbridge_batch_lines SET done_at = ?, status_code = ?, request_id = ?, response = ?, request = '', worker = NULL, available_at = ?
         WHERE batch_id = ? AND line = ? AND worker = ? AND done_at IS NULL RETURNING line`,
        [this.#now(), statusCode, requestId, response, never, batchId, line, worker]
      )
      if (rows.length > 0) written.push(result)
    }
    return written
  }

  /** In the order of the input, those after a line. */
  async read (batchId: string, after: number, limit: number): Promise<readonly WrittenLine[]> {
    const rows = await this.#database.query(
      'SELECT line, custom_id, done_at, status_code, request_id, response FROM drawbridge_batch_lines WHERE batch_id = ? AND line > ? ORDER BY line LIMIT ?', [batchId, after, limit]
    )
    return rows.map((row) => ({
      line: Number(row['line']),
      customId: String(row['custom_id']),
      result: row['done_at'] == null ? null : { statusCode: Number(row['status_code']), requestId: String(row['request_id']), response: String(row['response']) }
    }))
  }

  /** Removes all lines of a batch, a little at a time. */
  async remove (batchId: string): Promise<void> {
    for (let count = removeLines; count === removeLines;) {
      const removed = await this.#database.query(
        'DELETE FROM drawbridge_batch_lines WHERE batch_id = ? AND line IN (SELECT line FROM drawbridge_batch_lines WHERE batch_id = ? ORDER BY line LIMIT ?) RETURNING line', [batchId, batchId, removeLines]
      )
      count = removed.length
      await nextTurn()
    }
    await this.#database.query('UPDATE drawbridge_batches SET held_bytes = 0, holds_lines = 0 WHERE id = ?', [batchId])
  }
}

const inOrder = <Line extends Pick<BatchLine, 'batchId' | 'line'>>(lines: readonly Line[]): readonly Line[] =>
  [...lines].sort((a, b) => a.batchId < b.batchId ? -1 : a.batchId > b.batchId ? 1 : a.line - b.line)

async function addToBatch ({ query }: Queries, batchId: string, results: readonly LineResult[]): Promise<void> {
  const sum = (valueOf: (result: LineResult) => number): number => results.reduce((total, result) => total + valueOf(result), 0)
  const completed = results.filter(({ statusCode }) => isSuccess(statusCode)).length
  await query(
    `UPDATE drawbridge_batches SET completed = completed + ?, failed = failed + ?, input_tokens = input_tokens + ?, cached_tokens = cached_tokens + ?,
     output_tokens = output_tokens + ?, reasoning_tokens = reasoning_tokens + ?, held_bytes = held_bytes + ? WHERE id = ?`,
    [
      completed, results.length - completed, sum(({ usage }) => usage.inputTokens), sum(({ usage }) => usage.cachedTokens),
      sum(({ usage }) => usage.outputTokens), sum(({ usage }) => usage.reasoningTokens), sum(({ response }) => Buffer.byteLength(response)), batchId
    ]
  )
}
