import type { ModelPrice } from '../../config/config.ts'
import { type Amount, type Ask, admit, hasReservation, ratesOf, type SubjectState } from './admission.ts'
import type { LimitStore, StatesAt, Verdict } from './limit-store.ts'
import { firstDayOfMonth, dayOf } from './periods.ts'
import { addSpending, correctionsOf, type Settlement, type Spending, spendingsOf } from './settlement.ts'
import { sumOfSpendings } from './sum-of-spendings.ts'

interface Subject {
  requestsFullAt: number
  tokensFullAt: number
  /** Of each day and model of this month. */
  readonly spendings: Map<string, Spending>
}

interface Holding {
  readonly subjects: readonly string[]
  readonly runs: 0 | 1
  readonly tokens: number
  readonly cost: number
}

/** What is left of limits where there is no database: of this process alone, and as long as it lives. */
export class MemoryLimitStore implements LimitStore {
  readonly #prices: () => readonly ModelPrice[]
  readonly #now: () => number
  readonly #subjects = new Map<string, Subject>()
  readonly #holdings = new Map<string, Holding>()

  /** @param now milliseconds since 1970 */
  constructor (prices: () => readonly ModelPrice[], now: () => number = Date.now) {
    this.#prices = prices
    this.#now = now
  }

  async reserve (asks: readonly Ask[]): Promise<readonly Verdict[]> {
    const now = this.#now() * 1000
    const states = this.#statesOf(asks.flatMap(({ subjects }) => subjects.map(({ subject }) => subject)), now)
    const stateOf = (subject: string): SubjectState => states.get(subject)!
    const verdicts = asks.map((ask) => {
      const refusal = admit(ask, stateOf, now)
      const holders = ask.subjects.filter(({ limits }) => hasReservation(limits)).map(({ subject }) => subject)
      if (refusal === null && holders.length > 0) this.#holdings.set(ask.id, { subjects: holders, runs: ask.isBatch ? 0 : 1, tokens: ask.tokens, cost: ask.cost })
      return { refusal, rates: ratesOf(ask.subjects, stateOf, now) }
    })
    for (const [name, { requestsFullAt, tokensFullAt }] of states) Object.assign(this.#subjectOf(name), { requestsFullAt, tokensFullAt })
    return verdicts
  }

  async settle (settlements: readonly Settlement[]): Promise<void> {
    const now = this.#now() * 1000
    for (const { id } of settlements) this.#holdings.delete(id)
    for (const [subject, micros] of correctionsOf(settlements)) {
      const known = this.#subjectOf(subject)
      known.tokensFullAt = Math.max(known.tokensFullAt, now) + micros
    }
    for (const { subject, ...spending } of spendingsOf(settlements)) {
      const { spendings } = this.#subjectOf(subject)
      const key = `${spending.day} ${spending.model}`
      const before = spendings.get(key)
      spendings.set(key, before === undefined ? spending : addSpending(before, spending))
    }
  }

  async read (subjects: readonly string[]): Promise<StatesAt> {
    const now = this.#now() * 1000
    return { now, states: this.#statesOf(subjects, now) }
  }

  async keepAlive (): Promise<void> {}

  async sweep (): Promise<void> {
    const now = this.#now()
    const first = firstDayOfMonth(now)
    for (const [name, { requestsFullAt, tokensFullAt, spendings }] of this.#subjects) {
      for (const [key, { day }] of spendings) if (day < first) spendings.delete(key)
      if (spendings.size === 0 && Math.max(requestsFullAt, tokensFullAt) <= now * 1000) this.#subjects.delete(name)
    }
  }

  #subjectOf (name: string): Subject {
    let subject = this.#subjects.get(name)
    if (subject === undefined) this.#subjects.set(name, subject = { requestsFullAt: 0, tokensFullAt: 0, spendings: new Map() })
    return subject
  }

  #statesOf (names: readonly string[], now: number): ReadonlyMap<string, SubjectState> {
    const [today, first] = [dayOf(now / 1000), firstDayOfMonth(now / 1000)]
    return new Map([...new Set(names)].map((name) => {
      const subject = this.#subjects.get(name)
      const held = [...this.#holdings.values()].filter(({ subjects }) => subjects.includes(name))
      const spendings = [...subject?.spendings.values() ?? []]
      const spentSince = (day: number): Amount => sumOfSpendings(spendings.filter((spending) => spending.day >= day), this.#prices())
      return [name, {
        requestsFullAt: subject?.requestsFullAt ?? 0,
        tokensFullAt: subject?.tokensFullAt ?? 0,
        running: held.reduce((sum, { runs }) => sum + runs, 0),
        reservedTokens: held.reduce((sum, { tokens }) => sum + tokens, 0),
        reservedCost: held.reduce((sum, { cost }) => sum + cost, 0),
        spentToday: spentSince(today),
        spentThisMonth: spentSince(first)
      }]
    }))
  }
}
