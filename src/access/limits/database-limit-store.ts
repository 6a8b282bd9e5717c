import { randomUUID } from 'node:crypto'
import type { ModelPrice } from '../../config/config.ts'
import type { Database, Queries, Row, SqlValue } from '../storage/database.ts'
import { type Ask, admit, hasReservation, ratesOf, type SubjectState } from './admission.ts'
import type { LimitStore, StatesAt, Verdict } from './limit-store.ts'
import { dayOf, firstDayOfMonth } from './periods.ts'
import { settleIn } from './settle-in.ts'
import { clockOf, inGroups, placeholders } from './sql.ts'
import type { Settlement, Spending } from './settlement.ts'
import { sumOfSpendings } from './sum-of-spendings.ts'

/** How long the reservations of a replica that says nothing count. */
const aliveMicros = 60_000_000

/** Once they have not counted for so long, they go. */
const keptMicros = 600_000_000

/** The spending of months that are over, which nobody asks for. */
const keptDays = 70

/** Buckets that are full are as those that are not there. */
const fullMicros = 3_600_000_000

/** What the power takes of it does no harm: a commit of these need not wait for the disk. */
const lax = { isDurable: false } as const

/**
 * What is left of limits in the database, which all replicas share. Each decision holds the rows of its subjects, so that those who decide at once follow each
 * other; the arithmetic is in {@link admit}, and the clock is the database's.
 */
export class DatabaseLimitStore implements LimitStore {
  readonly #database: Database
  readonly #prices: () => readonly ModelPrice[]
  readonly #clock: string
  /** Names this process's reservations. */
  readonly #replica = randomUUID()
  /** By the database's clock; 0 before there was a reservation. */
  #aliveUntil = 0

  constructor (database: Database, prices: () => readonly ModelPrice[]) {
    this.#database = database
    this.#prices = prices
    this.#clock = clockOf(database.kind)
  }

  async reserve (asks: readonly Ask[]): Promise<readonly Verdict[]> {
    const subjects = asks.flatMap((ask) => ask.subjects)
    const names = [...new Set(subjects.map(({ subject }) => subject))].sort()
    const holders = new Set(subjects.filter(({ limits }) => hasReservation(limits)).map(({ subject }) => subject))
    return await this.#database.transaction(async (queries) => {
      const { now, buckets } = await this.#holdBuckets(queries, names)
      const states = await this.#statesOf(queries, names, [...holders], buckets, now)
      const before = new Map([...states].map(([name, { requestsFullAt, tokensFullAt }]) => [name, { requestsFullAt, tokensFullAt }]))
      const stateOf = (subject: string): SubjectState => states.get(subject)!
      const reservations: SqlValue[][] = []
      const verdicts = asks.map((ask): Verdict => {
        const refusal = admit(ask, stateOf, now)
        if (refusal === null) {
          for (const { subject, limits } of ask.subjects) {
            if (hasReservation(limits)) reservations.push([ask.id, subject, this.#replica, ask.isBatch ? 0 : 1, ask.tokens, ask.cost])
          }
        }
        return { refusal, rates: ratesOf(ask.subjects, stateOf, now) }
      })
      const changed = names.filter((name) => {
        const [old, { requestsFullAt, tokensFullAt }] = [before.get(name), stateOf(name)]
        return old?.requestsFullAt !== requestsFullAt || old.tokensFullAt !== tokensFullAt
      })
      for (const group of inGroups(changed)) {
        await queries.query(
          `INSERT INTO drawbridge_buckets (subject, requests_full_at, tokens_full_at) VALUES ${placeholders(group.length, 3)}
           ON CONFLICT (subject) DO UPDATE SET requests_full_at = excluded.requests_full_at, tokens_full_at = excluded.tokens_full_at`,
          group.flatMap((name) => [name, stateOf(name).requestsFullAt, stateOf(name).tokensFullAt])
        )
      }
      if (reservations.length > 0 && this.#aliveUntil < now + aliveMicros / 2) await this.#stayAlive(queries)
      for (const group of inGroups(reservations)) {
        await queries.query(
          `INSERT INTO drawbridge_reservations (id, subject, replica, runs, tokens, cost) VALUES ${placeholders(group.length, 6)} ON CONFLICT (id, subject) DO NOTHING`,
          group.flat()
        )
      }
      return verdicts
    }, lax)
  }

  async settle (settlements: readonly Settlement[]): Promise<void> {
    await this.#database.transaction(async (queries) => await settleIn(queries, this.#database.kind, settlements), lax)
  }

  async read (subjects: readonly string[]): Promise<StatesAt> {
    const names = [...new Set(subjects)]
    const [row] = await this.#database.query(`SELECT ${this.#clock} AS now`)
    const now = Number(row?.['now'])
    const buckets: Row[] = []
    for (const group of inGroups(names)) {
      buckets.push(...await this.#database.query(`SELECT * FROM drawbridge_buckets WHERE subject IN ${placeholders(1, group.length)}`, group))
    }
    return { now, states: await this.#statesOf(this.#database, names, names, buckets, now) }
  }

  async keepAlive (): Promise<void> {
    if (this.#aliveUntil > 0) await this.#stayAlive(this.#database)
  }

  async sweep (): Promise<void> {
    const [database, clock] = [this.#database, this.#clock]
    await database.query(`DELETE FROM drawbridge_reservations WHERE replica NOT IN (SELECT id FROM drawbridge_replicas WHERE alive_until_at > ${clock} - ?)`, [keptMicros])
    await database.query(`DELETE FROM drawbridge_replicas WHERE alive_until_at <= ${clock} - ?`, [keptMicros])
    await database.query(`DELETE FROM drawbridge_buckets WHERE requests_full_at < ${clock} - ? AND tokens_full_at < ${clock} - ?`, [fullMicros, fullMicros])
    await database.query('DELETE FROM drawbridge_spending WHERE day < ?', [dayOf(Date.now()) - keptDays])
  }

  async #stayAlive (queries: Queries): Promise<void> {
    const [row] = await queries.query(
      `INSERT INTO drawbridge_replicas (id, alive_until_at) VALUES (?, ${this.#clock} + ?)
       ON CONFLICT (id) DO UPDATE SET alive_until_at = excluded.alive_until_at RETURNING alive_until_at`, [this.#replica, aliveMicros])
    this.#aliveUntil = Number(row?.['alive_until_at'])
  }

  /** The subjects' buckets, which nobody else changes before the transaction ends. They are held in the order of their names, so that no two wait for each other. */
  async #holdBuckets (queries: Queries, names: readonly string[]): Promise<{ readonly now: number, readonly buckets: readonly Row[] }> {
    // In SQLite the transaction has the whole file.
    const hold = this.#database.kind === 'postgresql' ? ' FOR UPDATE' : ''
    const buckets = new Map<string, Row>()
    let now = 0
    for (const group of inGroups(names)) {
      for (;;) {
        const rows = await queries.query(`SELECT subject, requests_full_at, tokens_full_at, ${this.#clock} AS now FROM drawbridge_buckets WHERE subject IN ${placeholders(1, group.length)} ORDER BY subject${hold}`, group)
        for (const row of rows) {
          buckets.set(String(row['subject']), row)
          now = Math.max(now, Number(row['now']))
        }
        const missing = group.filter((name) => !buckets.has(name))
        if (missing.length === 0) break
        // What is not there cannot be held.
        for (const name of missing) await queries.query('INSERT INTO drawbridge_buckets (subject, requests_full_at, tokens_full_at) VALUES (?, 0, 0) ON CONFLICT (subject) DO NOTHING', [name])
      }
    }
    return { now, buckets: [...buckets.values()] }
  }

  /** @param holders subjects whose reservations and spending count */
  async #statesOf (queries: Queries, names: readonly string[], holders: readonly string[], buckets: readonly Row[], now: number): Promise<ReadonlyMap<string, SubjectState>> {
    const bucketOf = new Map(buckets.map((row) => [String(row['subject']), row]))
    const heldOf = new Map<string, Row>()
    const spendingsOf = new Map<string, Spending[]>()
    const [today, first] = [dayOf(now / 1000), firstDayOfMonth(now / 1000)]
    for (const group of inGroups(holders)) {
      const held = await queries.query(
        `SELECT subject, SUM(runs) AS running, CAST(SUM(tokens) AS BIGINT) AS tokens, SUM(cost) AS cost FROM drawbridge_reservations
         WHERE subject IN ${placeholders(1, group.length)} AND replica IN (SELECT id FROM drawbridge_replicas WHERE alive_until_at > ?) GROUP BY subject`,
        [...group, now]
      )
      for (const row of held) heldOf.set(String(row['subject']), row)
      const spendings = await queries.query(`SELECT * FROM drawbridge_spending WHERE subject IN ${placeholders(1, group.length)} AND day >= ?`, [...group, first])
      for (const row of spendings) {
        const subject = String(row['subject'])
        const known = spendingsOf.get(subject) ?? []
        spendingsOf.set(subject, known)
        known.push(toSpending(row))
      }
    }
    return new Map(names.map((name) => {
      const [bucket, held, spendings = []] = [bucketOf.get(name), heldOf.get(name), spendingsOf.get(name)]
      return [name, {
        requestsFullAt: Number(bucket?.['requests_full_at'] ?? 0),
        tokensFullAt: Number(bucket?.['tokens_full_at'] ?? 0),
        running: Number(held?.['running'] ?? 0),
        reservedTokens: Number(held?.['tokens'] ?? 0),
        reservedCost: Number(held?.['cost'] ?? 0),
        spentToday: sumOfSpendings(spendings.filter(({ day }) => day >= today), this.#prices()),
        spentThisMonth: sumOfSpendings(spendings, this.#prices())
      }]
    }))
  }
}

const toSpending = (row: Row): Spending => ({
  day: Number(row['day']),
  model: String(row['model']),
  tokens: Number(row['tokens']),
  promptTokens: Number(row['prompt_tokens']),
  cachedTokens: Number(row['cached_tokens']),
  completionTokens: Number(row['completion_tokens'])
})
