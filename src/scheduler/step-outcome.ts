import type { Millis } from '../domain/ids.ts'
import type { WorkOutcome } from './plan.ts'

/** What a step's draft model did, over all slots. */
export interface StepDraft {
  /** Slots for which it drafted, and how many tokens for the one with most. */
  readonly slots: number
  readonly rounds: number
  /** Guesses in all. */
  readonly count: number
  readonly durationMs: Millis
}

export function draftOf (outcomes: readonly WorkOutcome[]): StepDraft {
  let [slots, rounds, total, durationMs] = [0, 0, 0, 0]
  for (const outcome of outcomes) {
    if (!('token' in outcome) || outcome.drafted === undefined) continue
    const { count, isBehind = false } = outcome.drafted
    if (isBehind) continue
    slots++
    rounds = Math.max(rounds, count, 1)
    total += count
    durationMs += outcome.drafted.durationMs
  }
  return { slots, rounds, count: total, durationMs }
}

/** What a step took beside the pass itself: saving and restoring caches, and its draft model. */
export const besidesMs = (outcomes: readonly WorkOutcome[]): Millis => outcomes.reduce((sum, outcome) => {
  if (!('token' in outcome)) return sum
  const { parked, restoredInMs = 0, drafted } = outcome
  return sum + (parked?.durationMs ?? 0) + restoredInMs + (drafted === undefined ? 0 : drafted.durationMs + drafted.readMs)
}, 0)
