import type { Fairness, Share } from '../report/bench-run.ts'

/**
 * Jain's index of fairness, (Σx)² / (n Σx²): 1 when all have the same, 1/n when one has everything (Jain, Chiu and Hawe, 1984).
 * @returns null for fewer than two values, and when all are 0.
 */
export function jainIndex (values: readonly number[]): number | null {
  if (values.length < 2) return null
  const sum = values.reduce((total, value) => total + value, 0)
  const squares = values.reduce((total, value) => total + value * value, 0)
  return squares === 0 ? null : sum * sum / (values.length * squares)
}

/**
 * Between models, or tenants: those that sent anything.
 * @param haveUsers whether each has users of its own, in proportion to its weight.
 */
export function fairnessOf (shares: readonly Share[], haveUsers: boolean): Fairness {
  const asking = shares.filter(({ requests }) => requests > 0)
  const answered = asking.filter(({ latencies }) => latencies.ttft.count > 0)
  return {
    output_tokens: haveUsers ? jainIndex(asking.map((share) => share.output_tokens / share.weight)) : null,
    completed: jainIndex(asking.map((share) => share.completed / share.requests)),
    ttft: jainIndex(answered.map(({ latencies }) => latencies.ttft.mean))
  }
}
