import { expect } from 'vitest'
import type { KilledRun } from './usage-under-kills.ts'

/** The ledger has every answer that a client has, once, with its tokens, and no other but those whose end was lost on the way. */
export function expectExactLedger ({ received, complete, undelivered, cutOff, booked, spent }: KilledRun): void {
  const undeliveredIds = new Set(undelivered.map(({ id }) => id))
  const delivered = complete.filter(({ id }) => !undeliveredIds.has(id))
  const lineOf = ({ id, promptTokens, completionTokens }: { readonly id: string, readonly promptTokens: number, readonly completionTokens: number }): string =>
    `${id} ${promptTokens}+${completionTokens}`
  expect(delivered.map(lineOf).sort()).toEqual(received.map(lineOf).sort())
  expect(new Set(complete.map(({ requestId }) => requestId)).size).toBe(complete.length)
  // Budgets say what the ledger says.
  expect(spent).toBe(booked)
  expect(undelivered.length).toBeLessThanOrEqual(cutOff)
}
