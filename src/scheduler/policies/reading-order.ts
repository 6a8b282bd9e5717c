import type { Sequence } from '../sequence.ts'
import { readerFor } from '../shared-prefill.ts'
import type { AdmissionPolicy } from './admission.ts'

/** Of so many steps of a lane, one reads prompts in order of admission. */
const arrivalEvery = 4
/** And one is for everybody, batch work too. */
const everybodyEvery = 16

/** Nobody waits for its next token in particular. What the policy protects comes to its end like other work. */
export const isBatchWork = ({ priority, isProtected }: Sequence): boolean => priority === 'batch' && !isProtected

/**
 * Whom a step is for. Whoever's prompt is read has its first token when the step ends, and batch work, its decodes too, would make that
 * later; so a step that reads a prompt of others is for others alone. Now and then one is for everybody, so that batch work comes to its end.
 * @param turn in order of admission
 * @param stepCount of the lane, so far
 */
export function passengers (turn: readonly Sequence[], stepCount: number): readonly Sequence[] {
  if (stepCount % everybodyEvery === 0) return turn
  const others = turn.filter((sequence) => !isBatchWork(sequence))
  if (others.length === turn.length || others.every(({ isDecoding }) => isDecoding)) return turn
  // What others wait for may be batch work, that reads what they have in common.
  const needed = new Set(others.map(readerFor))
  return turn.filter((sequence) => !isBatchWork(sequence) || needed.has(sequence))
}

/**
 * The prompts of a step in the order in which they are read: that of the policy, but now and then the one that came first goes first, so
 * that each comes to its end.
 * @param prompts in order of admission
 */
export function readingOrder (prompts: readonly Sequence[], stepCount: number, admission: AdmissionPolicy): readonly Sequence[] {
  if (prompts.length < 2 || stepCount % arrivalEvery === 0) return prompts
  return [...prompts].sort((a, b) => admission.comparePrompts(a, b))
}
