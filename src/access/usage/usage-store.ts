import type { ErrorCode } from '../../domain/errors.ts'
import type { FinishReason } from '../../domain/finish-reason.ts'
import { settleIn } from '../limits/settle-in.ts'
import { type Settlement, spendingOf } from '../limits/settlement.ts'
import type { Database, Row, SqlValue } from '../storage/database.ts'
import type { UsageOutcome, UsageRow } from './usage-row.ts'

/** A place in the order of the rows, which is by time and then by id. */
export type UsagePosition = Pick<UsageRow, 'finishedAt' | 'id'>

export interface UsageSpan {
  /** Milliseconds since 1970. */
  readonly from: number
  /** The first moment that is no longer in it. */
  readonly to: number
  /** All owners where there is none. */
  readonly owner?: string | undefined
}

/** Whose budgets a row is on, and what ends with it. */
export type UsageAccount = Omit<Settlement, 'id' | 'spending'>

/** Rows of one statement, largest first: few forms of it, so that all of them stay prepared. */
const statementSizes = [64, 8, 1] as const

/** The rows of usage in the database. */
export class UsageStore {
  readonly #database: Database

  constructor (database: Database) {
    this.#database = database
  }

  /**
   * Writes all of them or none. Rows that are there already stay as they are, and end no reservations again.
   * @param accounts by the id of the row
   */
  async insert (rows: readonly UsageRow[], accounts: ReadonlyMap<string, UsageAccount> = new Map()): Promise<void> {
    await this.#database.transaction(async (queries) => {
      const written = new Set<string>()
      let done = 0
      for (const size of statementSizes) {
        for (; rows.length - done >= size; done += size) {
          for (const row of await queries.query(insertStatement(size), rows.slice(done, done + size).flatMap(toValues))) written.add(String(row['id']))
        }
      }
      const settlements = rows.flatMap((row) => {
        const account = accounts.get(row.id)
        return account === undefined || !written.delete(row.id) ? [] : [{ id: row.id, spending: spendingOf(row), ...account }]
      })
      if (settlements.length > 0) await settleIn(queries, this.#database.kind, settlements)
    })
  }

  /** Rows of the span that come after the position, in their order. */
  async read ({ from, to, owner }: UsageSpan, after: UsagePosition | null, limit: number): Promise<readonly UsageRow[]> {
    const position = after ?? { finishedAt: from, id: '' }
    const rows = await this.#database.query(
      `SELECT * FROM drawbridge_usage WHERE ${owner === undefined ? '' : 'owner = ? AND '}finished_at >= ? AND finished_at < ? AND (finished_at > ? OR id > ?) ORDER BY finished_at, id LIMIT ?`,
      [...owner === undefined ? [] : [owner], position.finishedAt, to, position.finishedAt, position.id, limit]
    )
    return rows.map(toUsageRow)
  }

  /** Removes some of the rows that are older. @returns how many */
  async deleteBefore (time: number, limit: number): Promise<number> {
    const rows = await this.#database.query(
      'DELETE FROM drawbridge_usage WHERE id IN (SELECT id FROM drawbridge_usage WHERE finished_at < ? ORDER BY finished_at, id LIMIT ?) RETURNING id', [time, limit]
    )
    return rows.length
  }
}

const columns = {
  id: ({ id }) => id,
  request_id: ({ requestId }) => requestId,
  finished_at: ({ finishedAt }) => finishedAt,
  owner: ({ owner }) => owner,
  tenant: ({ tenant }) => tenant,
  key_id: ({ keyId }) => keyId,
  model: ({ model }) => model,
  adapters: ({ adapters }) => JSON.stringify(adapters),
  endpoint: ({ endpoint }) => endpoint,
  prompt_tokens: ({ promptTokens }) => promptTokens,
  cached_tokens: ({ cachedTokens }) => cachedTokens,
  completion_tokens: ({ completionTokens }) => completionTokens,
  queued_ms: ({ queuedMs }) => round(queuedMs),
  ttft_ms: ({ ttftMs }) => round(ttftMs),
  duration_ms: ({ durationMs }) => Math.round(durationMs),
  finish_reasons: ({ finishReasons }) => JSON.stringify(finishReasons),
  outcome: ({ outcome }) => outcome,
  error_code: ({ errorCode }) => errorCode
} satisfies Readonly<Record<string, (row: UsageRow) => SqlValue>>

const round = (value: number | null): number | null => value === null ? null : Math.round(value)

const toValues = (row: UsageRow): readonly SqlValue[] => Object.values(columns).map((valueOf) => valueOf(row))

function insertStatement (count: number): string {
  const names = Object.keys(columns)
  const group = `(${names.map(() => '?').join(', ')})`
  return `INSERT INTO drawbridge_usage (${names.join(', ')}) VALUES ${Array.from({ length: count }, () => group).join(', ')} ON CONFLICT (id) DO NOTHING RETURNING id`
}

function toUsageRow (row: Row): UsageRow {
  const text = (name: keyof typeof columns): string => String(row[name])
  const count = (name: keyof typeof columns): number => Number(row[name])
  const time = (name: keyof typeof columns): number | null => row[name] === null ? null : Number(row[name])
  return {
    id: text('id'),
    requestId: text('request_id'),
    finishedAt: count('finished_at'),
    owner: text('owner'),
    tenant: text('tenant'),
    keyId: row['key_id'] === null ? null : text('key_id'),
    model: text('model'),
    adapters: JSON.parse(text('adapters')) as string[],
    endpoint: text('endpoint'),
    promptTokens: count('prompt_tokens'),
    cachedTokens: count('cached_tokens'),
    completionTokens: count('completion_tokens'),
    queuedMs: time('queued_ms'),
    ttftMs: time('ttft_ms'),
    durationMs: count('duration_ms'),
    finishReasons: JSON.parse(text('finish_reasons')) as FinishReason[],
    outcome: text('outcome') as UsageOutcome,
    errorCode: row['error_code'] === null ? null : text('error_code') as ErrorCode
  }
}
