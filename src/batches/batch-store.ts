import { randomBytes } from 'node:crypto'
import { asTenantId } from '../domain/ids.ts'
import { ServerError } from '../domain/errors.ts'
import type { Database, Queries, Row, SqlValue } from '../access/storage/database.ts'
import { type Batch, type BatchEnding, type BatchProblem, type BatchStatus, completionWindowMs, endingOf, isCancellable, openStatuses } from './batch.ts'

export type NewBatch = Pick<Batch, 'owner' | 'tenant' | 'keyId' | 'isAnonymous' | 'endpoint' | 'inputFileId' | 'metadata' | 'outputTtlMs'>

/** Most batches of one owner that have not ended. */
export const mostOpenBatches = 100

const listOf = (statuses: readonly BatchStatus[]): string => statuses.map((status) => `'${status}'`).join(', ')
const isOpen = `status IN (${listOf(openStatuses)})`

/** The batches in the database. What changes one is under a condition, so that of two servers that want the same one does it. */
export class BatchStore {
  readonly #database: Database
  readonly #now: () => number

  /** @param now milliseconds since 1970 */
  constructor (database: Database, now: () => number = Date.now) {
    this.#database = database
    this.#now = now
  }

  /** @throws ServerError `queue_full` */
  async create (wish: NewBatch): Promise<Batch> {
    const now = this.#now()
    const columns: Readonly<Record<string, SqlValue>> = {
      id: `batch_${randomBytes(16).toString('hex')}`,
      owner: wish.owner,
      tenant: wish.tenant,
      key_id: wish.keyId,
      is_anonymous: wish.isAnonymous ? 1 : 0,
      endpoint: wish.endpoint,
      input_file_id: wish.inputFileId,
      metadata: wish.metadata === null ? null : JSON.stringify(wish.metadata),
      output_ttl_ms: wish.outputTtlMs,
      status: 'validating',
      created_at: now,
      expires_at: now + completionWindowMs,
      ...Object.fromEntries(['total', 'completed', 'failed', 'input_tokens', 'cached_tokens', 'output_tokens', 'reasoning_tokens', 'held_bytes', 'holds_lines', 'worker_until'].map((name) => [name, 0]))
    }
    return await this.#database.transaction(async ({ query }) => {
      const [open] = await query(`SELECT COUNT(*) AS count FROM drawbridge_batches WHERE owner = ? AND ${isOpen}`, [wish.owner])
      if (Number(open?.['count']) >= mostOpenBatches) {
        throw new ServerError('queue_full', `You have ${mostOpenBatches} batches that have not ended; that is the limit`)
      }
      const names = Object.keys(columns)
      const rows = await query(`INSERT INTO drawbridge_batches (${names.join(', ')}) VALUES (${names.map(() => '?').join(', ')}) RETURNING *`, Object.values(columns))
      return toBatch(rows[0] ?? {})
    })
  }

  /** @throws ServerError `batch_not_found` */
  async get (tenant: string, id: string, queries: Queries = this.#database): Promise<Batch> {
    const [row] = await queries.query('SELECT * FROM drawbridge_batches WHERE id = ? AND tenant = ?', [id, tenant])
    if (row === undefined) throw new ServerError('batch_not_found', `No batch found with id '${id.slice(0, 128)}'`, { param: 'id' })
    return toBatch(row)
  }

  /** Newest first. @throws ServerError `batch_not_found` when the batch before the page is none of them */
  async list (tenant: string, limit: number, after?: string): Promise<{ readonly batches: readonly Batch[], readonly hasMore: boolean }> {
    const before = after === undefined ? null : await this.get(tenant, after)
    const rows = await this.#database.query(
      `SELECT * FROM drawbridge_batches WHERE tenant = ? ${before === null ? '' : 'AND (created_at, id) < (?, ?)'} ORDER BY created_at DESC, id DESC LIMIT ?`,
      [tenant, ...before === null ? [] : [before.createdAt, before.id], limit + 1]
    )
    return { batches: rows.slice(0, limit).map(toBatch), hasMore: rows.length > limit }
  }

  /**
   * Has a batch stopped. One that is being stopped stays as it is.
   * @throws ServerError `batch_not_found`, or `invalid_value` for one that cannot be stopped any more
   */
  async cancel (tenant: string, id: string): Promise<Batch> {
    const [row] = await this.#database.query(
      'UPDATE drawbridge_batches SET status = \'cancelling\', cancelling_at = ? WHERE id = ? AND tenant = ? AND status IN (\'validating\', \'in_progress\') RETURNING *', [this.#now(), id, tenant]
    )
    if (row !== undefined) return toBatch(row)
    const batch = await this.get(tenant, id)
    if (isCancellable(batch) || batch.status === 'cancelling') return batch
    throw new ServerError('invalid_value', `Cannot cancel a batch with status '${batch.status}'`, { param: 'id' })
  }

  /** Of all owners, those that have not ended, oldest first. */
  async open (): Promise<readonly Batch[]> {
    return (await this.#database.query(`SELECT * FROM drawbridge_batches WHERE ${isOpen} ORDER BY created_at, id`)).map(toBatch)
  }

  /**
   * Takes a batch for one server to look at its input, or to end it.
   * @returns null when another one has it, or it has ended
   */
  async lease (id: string, worker: string, leaseMs: number): Promise<Batch | null> {
    const now = this.#now()
    const [row] = await this.#database.query(
      `UPDATE drawbridge_batches SET worker = ?, worker_until = ? WHERE id = ? AND ${isOpen} AND (worker_until <= ? OR worker = ?) RETURNING *`, [worker, now + leaseMs, id, now, worker]
    )
    return row === undefined ? null : toBatch(row)
  }

  /** Gives it back. */
  async release (id: string, worker: string): Promise<void> {
    await this.#database.query('UPDATE drawbridge_batches SET worker = NULL, worker_until = 0 WHERE id = ? AND worker = ?', [id, worker])
  }

  /** Its input is good: its lines may run. @returns whether it was still to be */
  async begin (id: string, worker: string, { total, model }: Pick<Batch, 'total' | 'model'>): Promise<boolean> {
    const rows = await this.#database.query(
      'UPDATE drawbridge_batches SET status = \'in_progress\', in_progress_at = ?, total = ?, model = ? WHERE id = ? AND status = \'validating\' AND worker = ? RETURNING id', [this.#now(), total, model, id, worker]
    )
    return rows.length > 0
  }

  /** Its input is not. */
  async reject (id: string, worker: string, problems: readonly BatchProblem[]): Promise<void> {
    await this.#database.query(
      'UPDATE drawbridge_batches SET status = \'failed\', failed_at = ?, errors = ? WHERE id = ? AND status = \'validating\' AND worker = ?', [this.#now(), JSON.stringify(problems), id, worker]
    )
  }

  /** Lines that run are given up, and what there is of it is written. */
  async stop (id: string, problem: BatchProblem): Promise<void> {
    await this.#database.query(
      'UPDATE drawbridge_batches SET status = \'finalizing\', finalizing_at = ?, errors = ? WHERE id = ? AND status = \'in_progress\'', [this.#now(), JSON.stringify([problem]), id]
    )
  }

  /**
   * From here on no line gets a result any more, so that those that are there can be written.
   * @returns null when the worker does not have it
   */
  async seal (id: string, worker: string): Promise<Batch & { readonly ending: BatchEnding } | null> {
    return await this.#database.transaction(async ({ query }) => {
      const now = this.#now()
      // The row stays locked until the end, so that no result comes between its counts and its seal.
      const [row] = await query(`UPDATE drawbridge_batches SET sealed_at = COALESCE(sealed_at, ?) WHERE id = ? AND ${isOpen} AND worker = ? RETURNING *`, [now, id, worker])
      if (row === undefined) return null
      const batch = toBatch(row)
      const ending = batch.ending ?? endingOf(batch)
      const [sealed] = await query(
        'UPDATE drawbridge_batches SET ending = ?, failed = ?, status = ?, finalizing_at = COALESCE(finalizing_at, ?) WHERE id = ? RETURNING *',
        [ending, ending === 'expired' ? batch.total - batch.completed : batch.failed, batch.status === 'cancelling' ? 'cancelling' : 'finalizing', batch.status === 'cancelling' ? null : now, id]
      )
      return { ...toBatch(sealed ?? row), ending }
    })
  }

  /**
   * Ends a batch that is sealed, together with what else has to be true from then on.
   * @returns whether the worker still had it
   */
  async finish (id: string, worker: string, ending: BatchEnding, publish: (queries: Queries) => Promise<{ readonly outputFileId: string | null, readonly errorFileId: string | null }>): Promise<boolean> {
    return await this.#database.transaction(async (queries) => {
      const [row] = await queries.query(
        `UPDATE drawbridge_batches SET status = ?, ${ending}_at = ? WHERE id = ? AND ${isOpen} AND worker = ? AND sealed_at IS NOT NULL RETURNING id`, [ending, this.#now(), id, worker]
      )
      if (row === undefined) return false
      const { outputFileId, errorFileId } = await publish(queries)
      await queries.query('UPDATE drawbridge_batches SET output_file_id = ?, error_file_id = ?, worker = NULL, worker_until = 0 WHERE id = ?', [outputFileId, errorFileId, id])
      return true
    })
  }

  /** Those that have ended and still have lines in the database. */
  async withLeftovers (): Promise<readonly string[]> {
    return (await this.#database.query(`SELECT id FROM drawbridge_batches WHERE holds_lines = 1 AND NOT ${isOpen}`)).map(({ id }) => String(id))
  }
}

const timeOf = (value: SqlValue | undefined): number | null => value == null ? null : Number(value)
const textOf = (value: SqlValue | undefined): string | null => value == null ? null : String(value)

const toBatch = (row: Row): Batch => ({
  id: String(row['id']),
  owner: String(row['owner']),
  tenant: asTenantId(String(row['tenant'])),
  keyId: textOf(row['key_id']),
  isAnonymous: row['is_anonymous'] === 1,
  endpoint: row['endpoint'] as Batch['endpoint'],
  inputFileId: String(row['input_file_id']),
  metadata: row['metadata'] == null ? null : JSON.parse(String(row['metadata'])) as Record<string, string>,
  outputTtlMs: timeOf(row['output_ttl_ms']),
  status: row['status'] as BatchStatus,
  ending: row['ending'] as BatchEnding | null,
  model: textOf(row['model']),
  problems: row['errors'] == null ? null : JSON.parse(String(row['errors'])) as BatchProblem[],
  createdAt: Number(row['created_at']),
  expiresAt: Number(row['expires_at']),
  inProgressAt: timeOf(row['in_progress_at']),
  finalizingAt: timeOf(row['finalizing_at']),
  completedAt: timeOf(row['completed_at']),
  failedAt: timeOf(row['failed_at']),
  expiredAt: timeOf(row['expired_at']),
  cancellingAt: timeOf(row['cancelling_at']),
  cancelledAt: timeOf(row['cancelled_at']),
  outputFileId: textOf(row['output_file_id']),
  errorFileId: textOf(row['error_file_id']),
  total: Number(row['total']),
  completed: Number(row['completed']),
  failed: Number(row['failed']),
  inputTokens: Number(row['input_tokens']),
  cachedTokens: Number(row['cached_tokens']),
  outputTokens: Number(row['output_tokens']),
  reasoningTokens: Number(row['reasoning_tokens'])
})
