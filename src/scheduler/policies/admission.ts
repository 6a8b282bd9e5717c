import type { Sequence } from '../sequence.ts'

/** Whether a sequence's prompt is about to be computed by another one, so that waiting for it spares the work. */
export type IsWaitingForPrompt = (sequence: Sequence) => boolean

/**
 * First come, first served. Yields the waiting sequences that may take a slot now, at most `freeSlots`. A choice that
 * waits for its request's first choice to prefill the shared prompt keeps a free slot reserved, so that nobody overtakes
 * it meanwhile.
 */
export function * firstComeFirstServed (
  waiting: Iterable<Sequence>, freeSlots: number, isWaitingForPrompt: IsWaitingForPrompt
): Generator<Sequence> {
  let slots = freeSlots
  for (const sequence of waiting) {
    if (slots === 0) return
    slots--
    if (!isWaitingForPrompt(sequence)) yield sequence
  }
}
