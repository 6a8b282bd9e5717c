import type { Ask, Rates, Refusal, SubjectState } from './admission.ts'
import type { Settlement } from './settlement.ts'

/** What became of an ask. */
export interface Verdict {
  readonly refusal: Refusal | null
  /** Of the request's subjects, after it. */
  readonly rates: Rates
}

export interface StatesAt {
  /** Microseconds since 1970. */
  readonly now: number
  /** By subject. */
  readonly states: ReadonlyMap<string, SubjectState>
}

/** Where it is kept what is left of limits. */
export interface LimitStore {
  /** Decides on the asks in their order, and takes what those that are let in may use. @throws ServerError `storage_unavailable` */
  reserve (asks: readonly Ask[]): Promise<readonly Verdict[]>
  /** Ends reservations that no row of the ledger ends. */
  settle (settlements: readonly Settlement[]): Promise<void>
  read (subjects: readonly string[]): Promise<StatesAt>
  /** Tells that those who hold reservations are alive. */
  keepAlive (): Promise<void>
  /** Removes what no longer counts. */
  sweep (): Promise<void>
}
