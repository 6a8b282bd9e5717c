import type { Sequence } from '../sequence.ts'
import { readerFor } from '../shared-prefill.ts'
import { slotOf } from '../slot-table.ts'
import type { AdmissionPolicy } from './admission.ts'
import type { StepFill } from './step-fill.ts'

/** Of so many steps that read prompts, one reads them in order of admission. */
const arrivalEvery = 4
/** Of so many steps, one is for everybody, batch work too. */
const everybodyEvery = 16

/** A lane's steps with one adapter set so far, since that came to the lane. */
export interface StepsOfSet {
  readonly count: number
  /** Of those, so many read prompts. */
  readonly readingCount: number
  /** The last one left streams out, for the sake of prompts. */
  readonly areStreamsOwed: boolean
  /** It left batch work out that only decodes, for the sake of prompts of batch work. */
  readonly isBatchWorkOwed: boolean
}

/** What of a lane decides whom its next step is for. */
export interface StepSituation {
  readonly steps: StepsOfSet
  /** Streams may wait for a step: no other adapter set waits for its turn. */
  readonly mayStreamsWait: boolean
  /** Others than batch work may come at any moment, and would wait for the end of the step. */
  readonly isUrgent: boolean
  readonly fill: StepFill
}

/**
 * Whom a step is for. Whoever's prompt is read has its first token when the step ends, and everything else in the step would make that
 * later. So batch work has no part in a step that reads a prompt of others; and their streams have none in it either, but all of the next one,
 * so that they get their tokens as often as if steps were shared: llama.cpp reads prompts in passes of their own anyway. For the sake of those
 * who may come next, batch work reads and decodes in turn as well, so that steps are short. Now and then a step is for everybody, so that
 * batch work comes to its end.
 * @param turn in order of admission
 */
export function passengers (turn: readonly Sequence[], situation: StepSituation): readonly Sequence[] {
  const { steps: { count, areStreamsOwed, isBatchWorkOwed }, mayStreamsWait, isUrgent, fill } = situation
  if (count % everybodyEvery === 0) return turn
  const others = turn.filter(({ isBatchWork }) => !isBatchWork)
  if (others.every(({ isDecoding }) => isDecoding)) {
    const isReading = turn.some((sequence) => sequence.isBatchWork && !sequence.isFlowing)
    if (!isReading || !isUrgent || !mayStreamsWait) return cutForTrial(turn, others.length, fill)
    const decoding = turn.filter(({ isBatchWork, isFlowing }) => !isBatchWork || isFlowing)
    if (isBatchWorkOwed && decoding.length > others.length) return decoding
    return turn.filter(({ isBatchWork, isFlowing }) => !isBatchWork || !isFlowing)
  }
  const streams = streamsOf(others)
  if (areStreamsOwed && streams.length > 0) return streams
  // What others wait for may be batch work, that reads what they have in common.
  const needed = new Set(others.map(readerFor))
  // And it may be a stream, which came back and has to say what it said before.
  const awaited = new Set(others.filter(({ awaits }) => awaits !== null).map(readerFor))
  const mayWait = (sequence: Sequence): boolean => mayStreamsWait && sequence.isFlowing && !awaited.has(sequence)
  return turn.filter((sequence) => needed.has(sequence) ? !mayWait(sequence) : !sequence.isBatchWork)
}

/** Leaves batch work out, from the last slots so that what decodes stays together, where a smaller step is to be tried and nothing is read. */
function cutForTrial (turn: readonly Sequence[], otherCount: number, fill: StepFill): readonly Sequence[] {
  if (turn.length === otherCount || !turn.every(({ isFlowing }) => isFlowing)) return turn
  const size = fill.trialSize(turn.length, otherCount)
  if (size >= turn.length) return turn
  const lastFirst = turn.filter(({ isBatchWork }) => isBatchWork).sort((a, b) => slotOf(b).id - slotOf(a).id)
  const leftOut = new Set(lastFirst.slice(0, turn.length - size))
  return turn.filter((sequence) => !leftOut.has(sequence))
}

/** Whom a step leaves out that serves these of a turn. */
export function owedAfter (turn: readonly Sequence[], chosen: readonly Sequence[]): Pick<StepsOfSet, 'areStreamsOwed' | 'isBatchWorkOwed'> {
  const served = new Set(chosen)
  const areOwed = (streams: readonly Sequence[]): boolean => streams.length > 0 && !streams.some((stream) => served.has(stream))
  return {
    areStreamsOwed: areOwed(streamsOf(turn)),
    isBatchWorkOwed: areOwed(turn.filter(({ isFlowing, isBatchWork }) => isFlowing && isBatchWork))
  }
}

/** Those in a turn that are streams, and no batch work. */
const streamsOf = (turn: readonly Sequence[]): readonly Sequence[] =>
  turn.filter(({ isFlowing, isBatchWork }) => isFlowing && !isBatchWork)

/**
 * The prompts of a step in the order in which they are read: that of the policy, but now and then the one that came first goes first, so
 * that each comes to its end.
 * @param prompts in order of admission
 */
export function readingOrder (prompts: readonly Sequence[], { count, readingCount }: StepsOfSet, admission: AdmissionPolicy): readonly Sequence[] {
  // In a step for everybody urgent prompts would leave the others nothing.
  if (prompts.length < 2 || count % everybodyEvery === 0 || readingCount % arrivalEvery === 0) return prompts
  return [...prompts].sort((a, b) => admission.comparePrompts(a, b))
}
