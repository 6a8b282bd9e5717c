import type { AdapterSet } from '../domain/adapter-set.ts'
import type { LaneId, Millis, ParkId, SequenceId, SlotId, Token } from '../domain/ids.ts'
import type { Sampling, TokenLogprob } from '../domain/sampling.ts'

/**
 * What one lane does in one forward pass. Plain data: it can be logged, sent to another process and replayed. The
 * scheduler decides, the engine obeys.
 */
export interface StepPlan {
  /** Counts up over all lanes of a scheduler. */
  readonly id: number
  readonly lane: LaneId
  /** This lane's share of the cores in this step. */
  readonly threads: number
  /** llama.cpp applies LoRA per context: one adapter set per lane and step. */
  readonly adapters: AdapterSet
  readonly work: readonly SlotWork[]
  /** Sequences that ended since the lane's last plan: the engine forgets their sampler state. */
  readonly released: readonly SequenceId[]
  /** Saved caches that nobody needs any more: the engine deletes them. No plan names them again. Absent where there are none. */
  readonly dropped?: readonly ParkId[]
  /**
   * Sequences that lost their slot since the lane's last plan and come back later, perhaps in another slot or lane: the engine forgets
   * where they were. Absent when there are none.
   */
  readonly preempted?: readonly SequenceId[]
}

/** One sequence's part of a step. A slot occurs at most once in a plan. */
export interface SlotWork {
  readonly slot: SlotId
  readonly sequence: SequenceId
  /**
   * Start from another slot's cache (a shared prompt). All copies of a plan happen before anything else in it, so the
   * source may have other work in the same plan. A copied slot is never a source itself in that plan.
   */
  readonly copyFrom?: SlotId
  /**
   * Save what the slot holds, under this id, before anything else in the plan. Plans that come after the end of this one may restore
   * it, in any slot of any lane, as long as it is not dropped.
   */
  readonly park?: ParkId
  /** Start from a saved cache instead of the slot's own. Otherwise like a copy, which there is none of then. */
  readonly restore?: ParkId
  /** Cached tokens to keep, counted from the start; the engine drops the rest, then appends. */
  readonly keep: number
  /** The tokens to append, at least one, at positions `keep`, `keep + 1`, … */
  readonly tokens: readonly Token[]
  /**
   * So many of `tokens`, the last ones, are guesses of what the sequence draws next: they are not in the history. They follow the one
   * token that a decode has, and come with `sample`, never under a grammar, and none is an end token. Absent when there are none.
   */
  readonly guessCount?: number
  /**
   * Instead of guesses in the plan, the engine's draft model may make up to so many, at least 1, which are then as if they stood at
   * the end of `tokens`, under the same rules. An engine without a draft model makes none. Absent where none are wanted.
   */
  readonly draft?: number
  /**
   * How to draw the next token, after the last of `tokens` that is no guess; absent on a prefill chunk that is not the last. Where there
   * are guesses, the engine goes on drawing, the token after each guess, as long as it draws what was guessed.
   */
  readonly sample?: SampleWork
}

export interface SampleWork {
  readonly sampling: Sampling
  /** How many tokens of the sequence were drawn before this one: the position that, with the seed, decides the draw. */
  readonly index: number
  /**
   * Prompt and drawn tokens so far, for penalties. A live view of the scheduler's array: read it before the step's
   * promise settles, do not keep it. Its first `promptLength` members are the prompt.
   */
  readonly history: readonly Token[]
  readonly promptLength: number
}

export interface DrawnToken {
  readonly token: Token
  /** Present when the sampling asked for log-probabilities. */
  readonly logprobs?: TokenLogprob
}

/** What a draft model did for one slot. Its times are shares of what it did for the whole step. */
export interface DraftOutcome {
  /** Guesses that it made. */
  readonly count: number
  /** Drawing them, one after the other. */
  readonly durationMs: Millis
  /** Reading what it had not read of the sequence. */
  readonly readMs: Millis
  /** Much of that is left, so there are no guesses yet. Otherwise, no guesses mean that it expects the end of the answer. */
  readonly isBehind?: true
}

/** One for each member of `work`, in any order. */
export type WorkOutcome =
  | ComputedOutcome
  | {
    /** The saved cache could not be restored. Nothing was computed, and the slot is empty. */
    readonly slot: SlotId
    readonly isCacheLost: true
  }
  | {
    /** This sequence is lost, its slot's cache is unknown; the other sequences of the step are fine. */
    readonly slot: SlotId
    readonly error: Error
  }

/** All of the work was done. */
export interface ComputedOutcome {
  readonly slot: SlotId
  /** The drawn token; null where nothing was to be drawn. */
  readonly token: Token | null
  /** Present when the sampling asked for log-probabilities and a token was drawn. */
  readonly logprobs?: TokenLogprob
  /**
   * What was drawn after `token`, one for each guess that was right, in order; absent when there is none. Of the guesses the slot's
   * cache holds all; those that were wrong go with the next plan's `keep`.
   */
  readonly further?: readonly DrawnToken[]
  /** What came of the wish for a draft; absent where there was none, or no draft model that could. */
  readonly drafted?: DraftOutcome
  /** What saving the slot's cache came to; absent where none was to be saved, or it could not be. */
  readonly parked?: { readonly bytes: number, readonly durationMs: Millis }
  /** How long restoring took; absent where nothing was to be restored. */
  readonly restoredInMs?: Millis
}

/** The guesses of a piece of work, in order. */
export function guessesOf ({ tokens, guessCount = 0 }: SlotWork): readonly Token[] {
  return guessCount === 0 ? [] : tokens.slice(-guessCount)
}

/** Tokens of the step's budget that a piece of work may take: what the engine may draft counts. */
export const plannedTokens = ({ tokens, draft = 0 }: SlotWork): number => tokens.length + draft

/** What a plan makes the engine do: sequences that decode, their guesses (drafted ones as many as there may be), and tokens of prompts. */
export function planSize ({ work }: Pick<StepPlan, 'work'>): PlanSize {
  let decodes = 0
  let guesses = 0
  let promptTokens = 0
  for (const { sample, tokens, guessCount = 0, draft = 0 } of work) {
    // The first token of an answer comes out of the prompt's last chunk; each later one is a decode of one token.
    const isDecoding = sample !== undefined && sample.index > 0
    const known = tokens.length - guessCount
    if (isDecoding) decodes++
    guesses += guessCount + draft
    promptTokens += isDecoding ? known - 1 : known
  }
  return { decodes, guesses, promptTokens }
}

export interface PlanSize {
  readonly decodes: number
  readonly guesses: number
  readonly promptTokens: number
}
