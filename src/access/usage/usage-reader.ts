import { setImmediate as nextTurn } from 'node:timers/promises'
import type { ModelPrice } from '../../config/config.ts'
import { ServerError } from '../../domain/errors.ts'
import { type UsageGroup, UsageReport } from './usage-report.ts'
import type { UsagePosition, UsageSpan, UsageStore } from './usage-store.ts'

/** Rows that are read at once: a few milliseconds of SQLite, during which no stream goes on. */
const pageRows = 1000

const mostLines = 20_000

/** Makes reports, one at a time, so that however many ask, the streams lose no more. */
export class UsageReader {
  readonly #store: Pick<UsageStore, 'read'>
  readonly #prices: () => readonly ModelPrice[]
  #last: Promise<unknown> = Promise.resolve()

  constructor (store: Pick<UsageStore, 'read'>, prices: () => readonly ModelPrice[]) {
    this.#store = store
    this.#prices = prices
  }

  /** @throws ServerError `invalid_value` for more lines than anybody reads, `request_aborted`, `storage_unavailable` */
  async report (span: UsageSpan, groups: readonly UsageGroup[], signal: AbortSignal): Promise<UsageReport> {
    const turn = this.#last.then(async () => await this.#make(span, groups, signal))
    this.#last = turn.catch(() => {})
    return await turn
  }

  async #make (span: UsageSpan, groups: readonly UsageGroup[], signal: AbortSignal): Promise<UsageReport> {
    const report = new UsageReport(groups, this.#prices())
    let position: UsagePosition | null = null
    for (;;) {
      if (signal.aborted) throw new ServerError('request_aborted', 'The client has gone')
      const rows = await this.#store.read(span, position, pageRows)
      for (const row of rows) report.add(row)
      if (report.lineCount > mostLines) {
        throw new ServerError('invalid_value', `Invalid value for 'group_by': the report has more than ${mostLines} lines; ask for a shorter time, or for fewer groups`, { param: 'group_by' })
      }
      position = rows.at(-1) ?? null
      if (rows.length < pageRows) return report
      await nextTurn()
    }
  }
}
