import type { UsageRow } from '../usage/usage-row.ts'
import { refillMicros } from './bucket.ts'
import { dayOf } from './periods.ts'

/** A part of a bucket that a request has taken ahead of its run. */
export interface TakenTokens {
  readonly subject: string
  readonly perMinute: number
  readonly tokens: number
}

/** What one request has used, for budgets. */
export interface Spending {
  /** Days since 1970. */
  readonly day: number
  readonly model: string
  /** All that were used; the others are those that cost something. */
  readonly tokens: number
  readonly promptTokens: number
  readonly cachedTokens: number
  readonly completionTokens: number
}

/** How a request's reservation ends. */
export interface Settlement {
  /** Of the run. */
  readonly id: string
  /** Whose budgets it is on. */
  readonly subjects: readonly string[]
  readonly taken: readonly TakenTokens[]
  /** Null for a run that never began. */
  readonly spending: Spending | null
  /** Whether others may wait for what it holds. */
  readonly hasReservation: boolean
}

export function spendingOf (row: Pick<UsageRow, 'finishedAt' | 'model' | 'outcome' | 'promptTokens' | 'cachedTokens' | 'completionTokens'>): Spending {
  const { finishedAt, model, outcome, promptTokens, cachedTokens, completionTokens } = row
  const costs = outcome === 'error' ? 0 : 1
  return {
    day: dayOf(finishedAt), model, tokens: promptTokens + completionTokens, promptTokens: costs * promptTokens, cachedTokens: costs * cachedTokens, completionTokens: costs * completionTokens
  }
}

/** Of the same day and model. */
export const addSpending = (a: Spending, b: Spending): Spending => ({
  day: a.day,
  model: a.model,
  tokens: a.tokens + b.tokens,
  promptTokens: a.promptTokens + b.promptTokens,
  cachedTokens: a.cachedTokens + b.cachedTokens,
  completionTokens: a.completionTokens + b.completionTokens
})

/** By how much the settlements move the time at which each subject's bucket of tokens is full, in microseconds; sorted by subject. */
export function correctionsOf (settlements: readonly Settlement[]): readonly (readonly [subject: string, micros: number])[] {
  const corrections = new Map<string, number>()
  for (const { taken, spending } of settlements) {
    for (const { subject, perMinute, tokens } of taken) {
      const micros = refillMicros(spending?.tokens ?? 0, perMinute) - refillMicros(tokens, perMinute)
      corrections.set(subject, (corrections.get(subject) ?? 0) + micros)
    }
  }
  return [...corrections].filter(([, micros]) => micros !== 0).sort(([a], [b]) => a < b ? -1 : 1)
}

/** What the settlements add to each subject's spending, by day and model; sorted, so that those who write at once never wait for each other in a circle. */
export function spendingsOf (settlements: readonly Settlement[]): readonly (Spending & { readonly subject: string })[] {
  const sums = new Map<string, Spending & { readonly subject: string }>()
  for (const { subjects, spending } of settlements) {
    if (spending === null) continue
    for (const subject of subjects) {
      const key = JSON.stringify([subject, spending.day, spending.model])
      const sum = sums.get(key)
      sums.set(key, { subject, ...sum === undefined ? spending : addSpending(sum, spending) })
    }
  }
  return [...sums].sort(([a], [b]) => a < b ? -1 : 1).map(([, sum]) => sum)
}
