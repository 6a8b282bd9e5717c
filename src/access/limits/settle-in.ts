import type { Database, Queries } from '../storage/database.ts'
import { correctionsOf, type Settlement, spendingsOf } from './settlement.ts'
import { clockOf, inGroups, placeholders } from './sql.ts'

/** Ends reservations within a transaction: what was used goes on the budgets, what was taken too much comes back, and what was too little is taken. */
export async function settleIn (queries: Queries, kind: Database['kind'], settlements: readonly Settlement[]): Promise<void> {
  for (const group of inGroups(spendingsOf(settlements))) {
    await queries.query(
      `INSERT INTO drawbridge_spending (subject, day, model, tokens, prompt_tokens, cached_tokens, completion_tokens) VALUES ${placeholders(group.length, 7)}
       ON CONFLICT (subject, day, model) DO UPDATE SET ${['tokens', 'prompt_tokens', 'cached_tokens', 'completion_tokens'].map((name) => `${name} = drawbridge_spending.${name} + excluded.${name}`).join(', ')}`,
      group.flatMap(({ subject, day, model, tokens, promptTokens, cachedTokens, completionTokens }) => [subject, day, model, tokens, promptTokens, cachedTokens, completionTokens])
    )
  }
  const clock = clockOf(kind)
  for (const [subject, micros] of correctionsOf(settlements)) {
    await queries.query(`UPDATE drawbridge_buckets SET tokens_full_at = (CASE WHEN tokens_full_at > ${clock} THEN tokens_full_at ELSE ${clock} END) + ? WHERE subject = ?`, [micros, subject])
  }
  for (const group of inGroups(settlements.filter(({ hasReservation }) => hasReservation).map(({ id }) => id))) {
    await queries.query(`DELETE FROM drawbridge_reservations WHERE id IN ${placeholders(1, group.length)}`, group)
  }
}
