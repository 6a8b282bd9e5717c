import type { LaneId, Millis, SequenceId, Token } from '../domain/ids.ts'
import type { Priority } from '../domain/priority.ts'
import type { NewSequence } from './scheduler-types.ts'
import type { ParkedCache } from './parked-caches.ts'
import type { SharedPrefill } from './policies/prefix-search.ts'
import type { Slot } from './slot-table.ts'

/** What came of computing tokens of a sequence. */
export interface Progress {
  /** Of its prompt, for the first time. */
  readonly promptTokens: number
  /** That were computed before, in a slot that it lost. */
  readonly recomputedTokens: number
}

/**
 * The scheduler's record of one sequence. The one idea behind everything: `computed` catches up with `tokens.length`.
 * Prefill and decode are the same thing; a sequence whose last token alone is not computed is decoding.
 */
export class Sequence {
  readonly id: SequenceId
  readonly request: NewSequence
  readonly addedAt: Millis
  /** Prompt, then drawn tokens. */
  readonly tokens: Token[]
  /** How many of `tokens` are in the slot's KV cache. */
  computed = 0
  slot: Slot | null = null
  /** The slot whose cache is copied by this sequence's first plan. */
  copyFrom: Slot | null = null
  /** The saved cache that is restored by this sequence's first plan. */
  restore: ParkedCache | null = null
  /** What another sequence computes now and this one will copy; until then it has a slot and is in no plan. */
  awaits: SharedPrefill | null = null
  /** Counts up with every slot that is given away: whoever has one longer has a smaller one. */
  admission = 0
  /** Prompt tokens that its tenant was charged for. */
  paidTokens = 0
  cachedTokens = 0
  /** The one that it shares its prompt with, of the same request. */
  leader: Sequence | null = null
  /** It had a slot: what waits with this set has lost it, and comes back. */
  wasAdmitted = false
  /** How often another one went before it whose adapters fitted better. */
  overtaken = 0
  /** How often it lost its slot. */
  preemptions = 0
  /** Its slot is not taken from it. */
  isProtected = false
  /** So many of `tokens` were computed, in its present slot or in one that it lost. */
  furthest = 0
  /** Where its last slot was. */
  lane: LaneId | null = null
  startedAt: Millis | null = null
  /** It was part of a plan, so the engine knows of it. */
  wasPlanned = false
  /** It was part of a plan since it has the slot that it has. */
  isPlanned = false
  /** So many steps of its adapters in a row, in its present slot, were for others, */
  leftOut = 0
  /** since then. */
  leftOutSince: Millis = 0
  /** So many of the guesses in its last plan, the first ones, are its prediction's. */
  predictedGuesses = 0
  /** The caller was told that it started. */
  isAnnounced = false
  /** It ended while a plan that serves it is being carried out; its slot is freed when that plan is committed. */
  isEnded = false

  constructor (request: NewSequence, now: Millis) {
    this.id = request.id
    this.request = request
    this.addedAt = now
    this.tokens = [...request.prompt]
  }

  /** Its tenant's share, relative to others. */
  get weight (): number { return this.request.weight ?? 1 }
  get priority (): Priority { return this.request.priority ?? 'normal' }
  /** Its request has begun: it had a slot, or the one that it shares its prompt with. Nobody is turned away after that. */
  get hasBegun (): boolean { return this.wasAdmitted || this.leader?.wasAdmitted === true }
  get promptLength (): number { return this.request.prompt.length }
  get drawnTokens (): number { return this.tokens.length - this.request.prompt.length }
  /** Tokens that are not in the cache yet; at least one while the sequence runs. */
  get pending (): number { return this.tokens.length - this.computed }
  /** Tokens that will be computed for it, as far as is known: those that are pending, less what it waits for. */
  get toCompute (): number { return this.tokens.length - (this.awaits?.length ?? this.computed) }
  get isPromptComputed (): boolean { return this.computed >= this.request.prompt.length }
  /** One token is left to compute: the last one, after which the next is drawn. */
  get isDecoding (): boolean { return this.pending === 1 }
  /** Somebody waits for its next token, and gets it with every step. */
  get isFlowing (): boolean { return this.isDecoding && this.drawnTokens > 0 }
  /** Nobody waits for its next token in particular. What the policy protects comes to its end like other work. */
  get isBatchWork (): boolean { return this.priority === 'batch' && !this.isProtected }
  /** When it ends, if it has not ended by then and is still where it is: without a slot, or with one. */
  get timesOutAt (): Millis {
    const { queueDeadline, deadline } = this.request
    return this.hasBegun ? deadline : Math.min(queueDeadline, deadline)
  }

  /** A step of its adapters begins, with or without it. */
  noteStep (isServed: boolean, now: Millis): void {
    if (this.leftOut === 0) this.leftOutSince = now
    this.leftOut = isServed ? 0 : this.leftOut + 1
  }

  /** Its slot is somebody else's now. Its tokens are kept, and computed again in the slot that it is given next. */
  loseSlot (): void {
    this.slot = null
    this.copyFrom = null
    this.awaits = null
    this.computed = 0
    this.isPlanned = false
    this.leftOut = 0
    this.preemptions++
  }

  /** By now its slot's cache holds its first `keep` tokens and so many more, which were appended. */
  advance (keep: number, appended: number): Progress {
    this.computed = keep + appended
    const fresh = Math.max(0, this.computed - Math.max(keep, this.furthest))
    const promptTokens = Math.min(fresh, Math.max(0, this.promptLength - (this.computed - fresh)))
    this.furthest = Math.max(this.furthest, this.computed)
    return { promptTokens, recomputedTokens: appended - fresh }
  }
}
