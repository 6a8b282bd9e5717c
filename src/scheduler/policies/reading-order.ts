import type { Sequence } from '../sequence.ts'
import { readerFor } from '../shared-prefill.ts'
import { slotOf } from '../slot-table.ts'
import type { AdmissionPolicy } from './admission.ts'
import type { StepFill } from './step-fill.ts'

/** Of so many steps that read prompts, one reads them in order of admission. */
const arrivalEvery = 4
/** Others' streams that were left out of so many steps in a row have the next one, however short the prompts were. */
const mostStreamsLeftOut = 4
/** Batch work that was left out of so many steps in a row has the next one, and others' prompts wait. */
const mostBatchLeftOut = 15

/** What of a lane decides whom its next step is for. */
export interface StepSituation {
  /** Streams may wait for a step: no other adapter set waits for its turn. */
  readonly mayStreamsWait: boolean
  /** Others than batch work may come at any moment, and would wait for the end of the step. */
  readonly isUrgent: boolean
  /** So many tokens of prompts may still be read before streams have their next token. */
  readonly promptRoom: number
  readonly fill: StepFill
}

/**
 * Whom a step is for. Whoever's prompt is read has its first token when the step ends, and everything else in the step would make that
 * later: llama.cpp reads prompts in passes of their own anyway. So batch work has no part in a step that reads a prompt of others; and their streams
 * have none in it either, but all of a step as soon as they have waited for as much of prompts as they may. For the sake of those who may come next,
 * batch work reads and decodes in turn as well, so that steps are short; streams of others decode with it, since their slots lie between its own, and
 * llama.cpp starts another pass at every gap. It has a step of its own when it was left out of too many, so that it comes to its end.
 * @param turn in order of admission
 */
export function passengers (turn: readonly Sequence[], situation: StepSituation): readonly Sequence[] {
  const others = turn.filter(({ isBatchWork }) => !isBatchWork)
  const isStarved = turn.some(({ isBatchWork, leftOut }) => isBatchWork && leftOut >= mostBatchLeftOut)
  if (!isStarved && others.some(({ isDecoding }) => !isDecoding)) return readers(turn, others, situation)
  return withBatchWork(turn.filter(({ isBatchWork, isDecoding }) => isBatchWork || isDecoding), situation)
}

/** A step for others' prompts, or for the streams that wait for them. */
function readers (turn: readonly Sequence[], others: readonly Sequence[], situation: StepSituation): readonly Sequence[] {
  const { mayStreamsWait } = situation
  const streams = others.filter(({ isFlowing }) => isFlowing)
  const waited = Math.max(0, ...streams.map(({ leftOut }) => leftOut))
  const mayGoOn = mayStreamsWait && waited < mostStreamsLeftOut
  const read = waited === 0 ? others : others.filter((sequence) => mayGoOn && isReadMeanwhile(sequence, situation))
  if (!read.some(({ isDecoding }) => !isDecoding)) return streams
  // What others wait for may be batch work, that reads what they have in common.
  const needed = new Set([...read, ...read.map(readerFor)])
  const awaited = awaitedBy(read)
  const mayWait = (sequence: Sequence): boolean => mayStreamsWait && sequence.isFlowing && !awaited.has(sequence)
  return turn.filter((sequence) => needed.has(sequence) && !mayWait(sequence))
}

/** It is read to its end before streams have to have their next token. A cache to restore takes a time of its own. */
function isReadMeanwhile (sequence: Sequence, { promptRoom }: StepSituation): boolean {
  const { restore, pending } = readerFor(sequence)
  return restore === null && pending <= promptRoom
}

/** A step for batch work: one that reads, or one in which everybody decodes. */
function withBatchWork (turn: readonly Sequence[], { mayStreamsWait, isUrgent, fill }: StepSituation): readonly Sequence[] {
  const isReading = turn.some(({ isBatchWork, isFlowing }) => isBatchWork && !isFlowing)
  if (!isReading || !isUrgent || !mayStreamsWait) return cutForTrial(turn, fill)
  if (turn.some(({ isFlowing, leftOut }) => isFlowing && leftOut > 0)) return turn.filter(({ isBatchWork, isFlowing }) => !isBatchWork || isFlowing)
  const awaited = awaitedBy(turn)
  return turn.filter((sequence) => !sequence.isFlowing || awaited.has(sequence))
}

/** What these wait for. It may be a stream, which came back and has to say what it said before. */
const awaitedBy = (sequences: readonly Sequence[]): ReadonlySet<Sequence> =>
  new Set(sequences.filter(({ awaits }) => awaits !== null).map(readerFor))

/** Leaves batch work out, from the last slots so that what decodes stays together, where a smaller step is to be tried and nothing is read. */
function cutForTrial (turn: readonly Sequence[], fill: StepFill): readonly Sequence[] {
  const otherCount = turn.filter(({ isBatchWork }) => !isBatchWork).length
  if (turn.length === otherCount || !turn.every(({ isFlowing }) => isFlowing)) return turn
  const size = fill.trialSize(turn.length, otherCount)
  if (size >= turn.length) return turn
  const lastFirst = turn.filter(({ isBatchWork }) => isBatchWork).sort((a, b) => slotOf(b).id - slotOf(a).id)
  const cut = new Set(lastFirst.slice(0, turn.length - size))
  return turn.filter((sequence) => !cut.has(sequence))
}

/**
 * The prompts of a step in the order in which they are read: that of the policy, but now and then the one that came first goes first, so
 * that each comes to its end.
 * @param prompts in order of admission
 * @param readingSteps so many steps of their adapter set in this lane have read prompts
 */
export function readingOrder (prompts: readonly Sequence[], readingSteps: number, admission: AdmissionPolicy): readonly Sequence[] {
  if (prompts.length < 2 || readingSteps % arrivalEvery === 0) return prompts
  return [...prompts].sort((a, b) => admission.comparePrompts(a, b))
}
