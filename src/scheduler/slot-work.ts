import type { SlotWork } from './plan.ts'
import type { Guess } from './policies/speculation.ts'
import type { Sequence } from './sequence.ts'
import { slotOf } from './slot-table.ts'

/** The next of a sequence's pending tokens, at most so many, and guesses of those that it draws after them. */
export function slotWork (sequence: Sequence, budget: number, { tokens: guesses, draft }: Guess): SlotWork {
  const { computed, tokens, pending, copyFrom, restore, request: { sampling }, drawnTokens: index, promptLength } = sequence
  const count = Math.min(pending, budget)
  const next = tokens.slice(computed, computed + count)
  return {
    slot: slotOf(sequence).id,
    sequence: sequence.id,
    ...(copyFrom === null ? {} : { copyFrom: copyFrom.id }),
    ...(restore === null ? {} : { restore: restore.id }),
    keep: computed,
    tokens: guesses.length === 0 ? next : [...next, ...guesses],
    ...(guesses.length === 0 ? {} : { guessCount: guesses.length }),
    ...(draft === 0 ? {} : { draft }),
    ...(count < pending ? {} : { sample: { sampling, index, history: tokens, promptLength } })
  }
}
