import type { ModelPrice } from '../../config/config.ts'
import { matchesAny } from '../name-patterns.ts'
import type { UsageRow } from './usage-row.ts'

/**
 * What the tokens of a row cost at the first price that fits its model. What failed without the client's doing costs nothing.
 * @returns null where no price fits
 */
export function costOf (row: Pick<UsageRow, 'model' | 'outcome' | 'promptTokens' | 'cachedTokens' | 'completionTokens'>, prices: readonly ModelPrice[]): number | null {
  const price = prices.find(({ model }) => matchesAny([model], row.model))
  if (price === undefined) return null
  if (row.outcome === 'error') return 0
  const { prompt, cached = prompt, completion } = price
  return ((row.promptTokens - row.cachedTokens) * prompt + row.cachedTokens * cached + row.completionTokens * completion) / 1_000_000
}
