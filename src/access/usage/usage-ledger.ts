import { setTimeout as delay } from 'node:timers/promises'
import { SharedWork } from '../storage/shared-work.ts'
import type { UsageRow } from './usage-row.ts'
import type { UsageAccount, UsageStore } from './usage-store.ts'

export interface UsageLedgerOptions {
  readonly store: Pick<UsageStore, 'insert' | 'deleteBefore'>
  readonly logger: { warn (details: object, message: string): void }
  /** Milliseconds since 1970. */
  readonly now?: () => number
  /** How long rows are kept; null is for ever. */
  readonly retentionMs?: () => number | null
  /** How long a row waits for others that share its commit. */
  readonly gatherMs?: number
}

interface WaitingRow {
  readonly row: UsageRow
  readonly account: UsageAccount | null
}

/**
 * A commit is a flush of the disk, and in SQLite it holds up the event loop; answers that end within so many milliseconds share one, so that
 * commits take a bounded part of the time however many answers there are.
 */
const defaultGatherMs = 10

/** Most rows of one transaction. */
const mostRows = 512

/** How many rows that are too old go at once; each time holds up the event loop where the database is SQLite. */
const sweepRows = 500

/** Writes what requests have used. Whoever waits for {@link record} knows that a row outlives the process. */
export class UsageLedger {
  readonly #options: Required<UsageLedgerOptions>
  readonly #writing: SharedWork<WaitingRow, undefined>
  #swept: Promise<void> | null = null
  #isClosed = false
  #lostCount = 0

  constructor (options: UsageLedgerOptions) {
    this.#options = { now: Date.now, retentionMs: () => null, gatherMs: defaultGatherMs, ...options }
    this.#writing = new SharedWork({ run: async (batch) => await this.#write(batch), most: mostRows, gatherMs: this.#options.gatherMs })
  }

  /** Rows that could not be committed, as far as is known. */
  get lostCount (): number { return this.#lostCount }

  /**
   * Settles when the row is committed. Writing a row again changes nothing.
   * @param account whose budgets it is on, and what of them ends with it; null for none
   * @throws ServerError `storage_unavailable`; the row may be there all the same
   */
  async record (row: Omit<UsageRow, 'finishedAt'>, account: UsageAccount | null = null): Promise<void> {
    await this.#writing.do({ row: { ...row, finishedAt: this.#options.now() }, account })
  }

  /** Removes what is too old, a little at a time. Never rejects. */
  async sweep (): Promise<void> {
    this.#swept ??= this.#removeOld().finally(() => { this.#swept = null })
    await this.#swept
  }

  /** Lets what has begun end. */
  async close (): Promise<void> {
    this.#isClosed = true
    await this.#swept
    await this.#writing.idle()
  }

  /** A second try needs no knowledge of what became of the first, and a connection that was cut is only noticed by using it. */
  async #write (batch: readonly WaitingRow[]): Promise<undefined[]> {
    const rows = batch.map(({ row }) => row)
    const accounts = new Map(batch.flatMap(({ row, account }) => account === null ? [] : [[row.id, account]]))
    const insert = async (): Promise<void> => await this.#options.store.insert(rows, accounts)
    try {
      await insert().catch(insert)
    } catch (error) {
      this.#lostCount += rows.length
      throw error
    }
    return batch.map(() => undefined)
  }

  async #removeOld (): Promise<void> {
    const { now, store, logger } = this.#options
    const retentionMs = this.#options.retentionMs()
    if (retentionMs === null) return
    try {
      while (!this.#isClosed && await store.deleteBefore(now() - retentionMs, sweepRows) === sweepRows) await delay(sweepPauseMs)
    } catch (error) {
      logger.warn({ err: error }, 'old rows of usage could not be removed')
    }
  }
}

/** Requests go on in between. */
const sweepPauseMs = 20
