import type { ModelPrice } from '../../config/config.ts'
import { costOf } from '../usage/price-list.ts'
import type { Amount } from './admission.ts'
import type { Spending } from './settlement.ts'

/** What it comes to, at the prices of the moment. Models without a price cost nothing. */
export const sumOfSpendings = (spendings: readonly Spending[], prices: readonly ModelPrice[]): Amount => ({
  tokens: spendings.reduce((sum, { tokens }) => sum + tokens, 0),
  // What failed is not among the tokens that cost something.
  cost: spendings.reduce((sum, spending) => sum + (costOf({ ...spending, outcome: 'ok' }, prices) ?? 0), 0)
})
