import type { SlotId } from '../../domain/ids.ts'
import type { SlotWork } from '../../scheduler/plan.ts'
import type { Draft, DraftWish } from './drafter.ts'

/** What a step's work wants to have drafted. */
export function wishesOf (work: readonly SlotWork[], sequenceOf: (slot: SlotId) => number): readonly DraftWish[] {
  return work.flatMap(({ slot, sequence, sample, draft = 0 }) =>
    sample === undefined || draft === 0 ? [] : [{ slot: sequenceOf(slot), sequence, sample, most: draft }])
}

/** A draft's guesses are guesses like others. */
export const withGuesses = (work: SlotWork, draft: Draft | undefined): SlotWork => draft === undefined || draft.tokens.length === 0
  ? work
  : { ...work, tokens: [...work.tokens, ...draft.tokens], guessCount: draft.tokens.length }
