import type { AdapterSet } from '../domain/adapter-set.ts'
import type { FinishReason } from '../domain/finish-reason.ts'
import type { LaneId, Millis, SequenceId, SlotId, TenantId, Token } from '../domain/ids.ts'
import type { Priority } from '../domain/priority.ts'
import type { Sampling, TokenLogprob } from '../domain/sampling.ts'
import type { ServerError } from '../domain/errors.ts'
import type { ParkedSnapshot } from './parked-caches.ts'
import type { AdmissionPolicyName } from './policies/admission.ts'

export interface SchedulerConfig {
  readonly laneCount: number
  readonly slotsPerLane: number
  /** Tokens that each slot can hold. */
  readonly contextSize: number
  /** Token budget of one step of one lane. At least `slotsPerLane`, so that every running sequence can decode. */
  readonly stepTokens: number
  /** Most threads to share out among lanes; at least one per lane. */
  readonly threads: number
  /**
   * Whether lanes are the faster the less each has to do, whatever the others do, as on a GPU, which one lane uses while another draws
   * tokens; so each has its share of the threads and of the sequences. Otherwise what is of one kind is together in a lane, with all threads.
   */
  readonly lanesAreApart?: boolean
  readonly endTokens: readonly Token[]
  /** Most sequences that wait for a slot while there is none free. */
  readonly maxQueue: number
  /** Most of them of one tenant; no limit where it is absent. */
  readonly maxQueuePerTenant?: number | undefined
  /** Most tokens of prompts that wait; no limit where it is absent. */
  readonly maxQueueTokens?: number | undefined
  /** Most consecutive steps for one adapter set while others wait in the same lane. */
  readonly turnSteps: number
  /**
   * How long a step may take while streams flow, in ms: pieces of prompts are cut so that it does. `auto` is 100 ms, or nine times what
   * the streams' own tokens take where that is more.
   */
  readonly targetItlMs: Millis | 'auto'
  /** Most tokens that are guessed ahead for a sequence in a step, and checked by that step; none where nothing is said. */
  readonly mostGuesses?: number
  /** Whether the engine has a draft model, which makes guesses too. */
  readonly hasDraftModel?: boolean
  /** Bytes for saved caches; nothing is saved without. */
  readonly parkBytes?: number
  /** Who gets a free slot, and who is turned away when the queue is full. */
  readonly policy: AdmissionPolicyName
}

/** What of the configuration is chosen, and not the engine's; what is absent has its default. */
export type SchedulingOptions =
  Pick<SchedulerConfig, 'maxQueue' | 'maxQueuePerTenant' | 'maxQueueTokens' | 'mostGuesses' | 'parkBytes'> &
  Partial<Pick<SchedulerConfig, 'turnSteps' | 'policy' | 'targetItlMs'>>

/** What of them can change while sequences wait and run: those that are there stay, whatever the new numbers say. */
export type SchedulingLimits = Pick<SchedulerConfig, 'maxQueue' | 'maxQueuePerTenant' | 'maxQueueTokens' | 'targetItlMs'>

export interface NewSequence {
  readonly id: SequenceId
  readonly tenant: TenantId
  /** The tenant's share of the service, relative to others, above 0; 1 where nothing is said. */
  readonly weight?: number
  /** `normal` where nothing is said. */
  readonly priority?: Priority
  readonly adapters: AdapterSet
  /** At least one token and at most `contextSize - 1`. */
  readonly prompt: readonly Token[]
  /** Most tokens to draw, at least 1; null is as many as the slot holds. */
  readonly maxTokens: number | null
  readonly sampling: Sampling
  /** What the answer may be like: guesses are taken from it too. */
  readonly prediction?: readonly Token[]
  /** Another sequence with the same prompt that is prefilled first, so that this one can copy its cache. */
  readonly sharesPromptWith?: SequenceId
  /** It ends with `queue_timeout` when neither it nor the one that it shares its prompt with has had a slot by then. */
  readonly queueDeadline: Millis
  /** It ends with `generation_timeout` when it has not ended by then. */
  readonly deadline: Millis
}

/** What became of a sequence. After `sequence-finished` or `sequence-failed` there is nothing more of it. */
export type SequenceEvent =
  | {
    readonly type: 'sequence-started'
    readonly id: SequenceId
    readonly slot: SlotId
    /** Prompt tokens whose cache was reused. */
    readonly cachedTokens: number
    /** From `add` to the first plan that served it. */
    readonly queuedMs: Millis
  }
  | {
    readonly type: 'token-drawn'
    readonly id: SequenceId
    readonly token: Token
    readonly logprobs?: TokenLogprob
    /** It was guessed from the request's prediction. */
    readonly isPredicted?: true
  }
  | {
    /** So many guesses from the request's prediction were not drawn. */
    readonly type: 'prediction-rejected'
    readonly id: SequenceId
    readonly tokens: number
  }
  | {
    readonly type: 'sequence-finished'
    readonly id: SequenceId
    readonly reason: FinishReason
    /** Tokens drawn, the end-of-generation token included. */
    readonly drawnTokens: number
  }
  | {
    readonly type: 'sequence-failed'
    readonly id: SequenceId
    readonly error: ServerError
  }

export interface LaneSnapshot {
  readonly lane: LaneId
  readonly slotCount: number
  /** Slots that a sequence holds. */
  readonly busySlots: number
  /** Whether a plan of this lane is being carried out. */
  readonly isStepping: boolean
  /** With how many threads it computes, as far as the scheduler has found out what is fastest. */
  readonly threads: number
  /** Cached tokens in all slots, idle ones included. */
  readonly cachedTokens: number
}

/** Plain numbers for metrics and the simulator, counted since the scheduler was made unless they say otherwise. */
export interface SchedulerSnapshot extends ParkedSnapshot {
  /** Now: sequences without a slot. */
  readonly waiting: number
  /** Now: those of them that had one and lost it. */
  readonly displaced: number
  /** Now: sequences in slots. */
  readonly running: number
  readonly lanes: readonly LaneSnapshot[]
  readonly contextSize: number
  readonly steps: number
  /** Those of them that had other adapters than the step before in their lane. */
  readonly adapterSwitches: number
  /** When the last step was committed, by the clock of `commit`; null before the first. */
  readonly lastStepAt: Millis | null
  /** Prompt tokens computed. */
  readonly promptTokens: number
  /** Prompt tokens that were looked up in the prefix cache, and those found there. */
  readonly prefixQueriedTokens: number
  readonly prefixHitTokens: number
  readonly drawnTokens: number
  /** Tokens that were guessed ahead of draws, and those of them that were right. */
  readonly guessedTokens: number
  readonly rightGuesses: number
  /** Those of them that a draft model made. */
  readonly draftedTokens: number
  readonly rightDrafts: number
  /** How often a slot was taken from a running sequence for the sake of another. */
  readonly preempted: number
  /** Tokens computed again for sequences that had lost their slot. */
  readonly recomputedTokens: number
  readonly added: number
  readonly finished: number
  readonly failed: number
  readonly aborted: number
}
