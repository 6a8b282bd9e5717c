import type { Millis } from '../../domain/ids.ts'
import type { Sequence } from '../sequence.ts'
import type { Rhythm } from './rhythm.ts'

/** What a step may do besides decoding. */
export interface StepRoom {
  /** Tokens of prompts, of others than batch work. */
  readonly promptTokens: number
  /** Of those, tokens of several prompts together. */
  readonly sharedTokens: number
  /** Tokens of the prompts of batch work. */
  readonly batchTokens: number
  /** Time for caches that are saved and restored. */
  readonly spareMs: Millis
}

export interface Waiting {
  /** In the lane. */
  readonly running: readonly Sequence[]
  /** Of those, whoever has the adapters whose turn it is: their streams may have waited for some steps already. */
  readonly turn: readonly Sequence[]
  /** Others than batch work may come at any moment. */
  readonly isUrgent: boolean
}

/**
 * How far a step may go: streams of others than batch work wait for prompts and the like no longer than the lane's rhythm allows. While others
 * may come at any moment, who would wait for its end, prompts of batch work are read in short pieces.
 */
export function roomOf (rhythm: Rhythm, { running, turn, isUrgent }: Waiting, now: Millis): StepRoom {
  const flowing = running.filter(({ isFlowing }) => isFlowing)
  const streams = flowing.filter(({ isBatchWork }) => !isBatchWork).length
  const leftOut = turn.filter(({ isBatchWork, isFlowing, leftOut: steps }) => !isBatchWork && isFlowing && steps > 0)
  const waitedMs = Math.max(0, ...leftOut.map(({ leftOutSince }) => now - leftOutSince))
  const promptBudget = leftOut.length === 0 ? rhythm.promptBudget(streams) : rhythm.furtherBudget(streams, waitedMs)
  return {
    promptTokens: streams === 0 ? Infinity : promptBudget,
    sharedTokens: rhythm.sharedBudget,
    batchTokens: isUrgent ? rhythm.shortBudget : flowing.length === 0 ? Infinity : rhythm.promptBudget(streams),
    spareMs: flowing.length === 0 ? Infinity : rhythm.spareMs(streams)
  }
}
