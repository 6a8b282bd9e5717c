import type { AdapterSetKey } from '../../domain/adapter-set.ts'
import type { AdapterRef } from '../../domain/adapter-set.ts'
import { ServerError } from '../../domain/errors.ts'
import type { LaneId, ParkId, SequenceId, SlotId, Token } from '../../domain/ids.ts'
import { plannedTokens, type SlotWork, type StepPlan } from '../../scheduler/plan.ts'
import { SlotCache } from './slot-cache.ts'

/** A plan that no correct scheduler makes. */
export class PlanViolation extends ServerError {
  constructor (plan: StepPlan, message: string) {
    super('internal_error', `plan ${plan.id} of lane ${plan.lane}: ${message}`)
    this.name = 'PlanViolation'
  }
}

export interface PlanLimits {
  readonly laneCount: number
  readonly slotsPerLane: number
  readonly contextSize: number
  /** Most tokens in one step of one lane. */
  readonly maxStepTokens: number
  /** Threads that all running plans may use together. */
  readonly threads: number
  readonly vocabularySize: number
  readonly isAdapterLoaded: (adapter: AdapterRef) => boolean
}

interface SequenceRecord {
  /** Null after it was preempted. */
  slot: SlotId | null
  readonly adapters: AdapterSetKey
  /** Unknown until the first draw. */
  promptLength: number | null
  /** How much of the history was compared with the slot's content, and its hash. */
  verifiedLength: number
  verifiedHash: number
  /** The tokens that were drawn for it last, and the number of the last one. */
  drawnIndex: number
  drawnTokens: readonly Token[]
}

/** At least this many released sequences are remembered, to notice when one is used again. */
const releasedMemory = 32_768

/**
 * Knows what every slot holds and refuses plans that a real engine would carry out wrongly or not at all: the laws of
 * the design, one `throw` each. The fake engine and the simulator put every plan through it. The work per plan is
 * proportional to the plan's tokens, not to the length of the contexts.
 */
export class PlanChecker {
  readonly #limits: PlanLimits
  readonly #caches: readonly SlotCache[]
  readonly #holders: (SequenceId | null)[]
  readonly #sequences = new Map<SequenceId, SequenceRecord>()
  #released = new Set<SequenceId>()
  /** The ones before those; dropped as a whole, which is cheaper than one by one. */
  #releasedBefore = new Set<SequenceId>()
  readonly #running = new Map<LaneId, StepPlan>()
  readonly #lastPlanIds = new Map<LaneId, number>()
  readonly #parked = new Map<ParkId, { readonly cache: SlotCache, readonly savedBy: StepPlan }>()
  #lastParkId = 0

  constructor (limits: PlanLimits) {
    this.#limits = limits
    const slotCount = limits.laneCount * limits.slotsPerLane
    this.#caches = Array.from({ length: slotCount }, () => new SlotCache())
    this.#holders = Array.from({ length: slotCount }, () => null)
  }

  /** What a slot holds. Whoever drafts guesses for a plan that has begun appends them. */
  cache (slot: SlotId): SlotCache { return this.#caches[slot]! }

  /** Tokens in a saved cache. */
  parkedLength (id: ParkId): number { return this.#parked.get(id)?.cache.length ?? 0 }

  /** Sequences that were used and not yet released. */
  get liveSequences (): number { return this.#sequences.size }

  /**
   * Checks a plan and carries out what it says of the caches. The lane is busy until {@link end}.
   * @throws PlanViolation
   */
  begin (plan: StepPlan): void {
    this.#checkLane(plan)
    this.#release(plan)
    this.#checkBudget(plan)
    for (const work of plan.work) {
      this.#checkSlot(plan, work)
      this.#checkGuesses(plan, work)
    }
    this.#checkUniqueness(plan)
    for (const work of plan.work) if (work.copyFrom !== undefined) this.#checkCopy(plan, work, work.copyFrom)
    this.#checkParked(plan)
    this.#checkKept(plan)
    // From here on the plan is carried out: what is saved and copied first, as plan.ts promises.
    for (const id of plan.dropped ?? []) this.#parked.delete(id)
    for (const { park, slot } of plan.work) {
      if (park !== undefined) this.#parked.set(park, { cache: this.cache(slot).clone(), savedBy: plan })
    }
    for (const { slot, copyFrom, restore, keep } of plan.work) {
      if (copyFrom !== undefined) this.cache(slot).copy(this.cache(copyFrom), keep)
      if (restore !== undefined) this.cache(slot).copy(this.#parked.get(restore)!.cache, keep)
    }
    for (const work of plan.work) {
      const cache = this.cache(work.slot)
      if (work.keep === 0) cache.reset(plan.adapters.key)
      else cache.truncate(work.keep)
      cache.append(work.tokens)
    }
    for (const work of plan.work) this.#checkSequence(plan, work)
    this.#running.set(plan.lane, plan)
  }

  /** The plan was carried out, well or badly. */
  end (plan: StepPlan): void {
    if (this.#running.get(plan.lane) !== plan) throw new PlanViolation(plan, 'ended but is not running')
    this.#running.delete(plan.lane)
  }

  /** Notes which tokens a sequence drew in a step, to compare them with what the scheduler appends later. */
  drawn (work: SlotWork, ...tokens: readonly Token[]): void {
    const record = this.#sequences.get(work.sequence)
    if (record === undefined || work.sample === undefined) return
    record.drawnIndex = work.sample.index + tokens.length - 1
    record.drawnTokens = tokens
  }

  /** The slot's content can no longer be told; nothing of it may be kept or copied. */
  forget (slot: SlotId): void { this.cache(slot).forget() }

  #checkLane (plan: StepPlan): void {
    const { laneCount, threads } = this.#limits
    if (!Number.isInteger(plan.lane) || plan.lane < 0 || plan.lane >= laneCount) {
      throw new PlanViolation(plan, `there are only ${laneCount} lanes`)
    }
    if (this.#running.has(plan.lane)) throw new PlanViolation(plan, 'the lane is stepping already')
    const lastId = this.#lastPlanIds.get(plan.lane)
    if (lastId !== undefined && plan.id <= lastId) throw new PlanViolation(plan, `plan ${lastId} came before it`)
    this.#lastPlanIds.set(plan.lane, plan.id)
    if (!Number.isInteger(plan.threads) || plan.threads < 1) throw new PlanViolation(plan, `${plan.threads} threads`)
    let running = plan.threads
    for (const other of this.#running.values()) running += other.threads
    if (running > threads) throw new PlanViolation(plan, `running plans use ${running} threads of ${threads}`)
    for (const adapter of plan.adapters.adapters) {
      if (!this.#limits.isAdapterLoaded(adapter)) throw new PlanViolation(plan, `adapter ${adapter.name} is not loaded`)
    }
  }

  #release (plan: StepPlan): void {
    for (const id of plan.preempted ?? []) {
      const record = this.#sequences.get(id)
      if (record === undefined || record.slot === null) throw new PlanViolation(plan, `sequence ${id} is preempted but has no slot`)
      this.#vacate(plan, id, record)
    }
    for (const id of plan.released) {
      if (this.#isReleased(id)) throw new PlanViolation(plan, `sequence ${id} is released twice`)
      const record = this.#sequences.get(id)
      if (record !== undefined) this.#vacate(plan, id, record)
      this.#sequences.delete(id)
      this.#released.add(id)
    }
    if (this.#released.size >= releasedMemory) {
      this.#releasedBefore = this.#released
      this.#released = new Set()
    }
  }

  #vacate (plan: StepPlan, id: SequenceId, record: SequenceRecord): void {
    if (record.slot === null) return
    if (this.#laneOf(record.slot) !== plan.lane) throw new PlanViolation(plan, `${id} ran in another lane`)
    if (this.#holders[record.slot] === id) this.#holders[record.slot] = null
    record.slot = null
  }

  #isReleased (id: SequenceId): boolean { return this.#released.has(id) || this.#releasedBefore.has(id) }

  #checkBudget (plan: StepPlan): void {
    if (plan.work.length === 0) throw new PlanViolation(plan, 'there is nothing in it to do')
    const { maxStepTokens } = this.#limits
    const tokens = plan.work.reduce((sum, work) => sum + plannedTokens(work), 0)
    if (tokens > maxStepTokens) throw new PlanViolation(plan, `${tokens} tokens exceed the budget of ${maxStepTokens}`)
  }

  #checkSlot (plan: StepPlan, work: SlotWork): void {
    const { contextSize, vocabularySize } = this.#limits
    if (this.#laneOf(work.slot) !== plan.lane) throw new PlanViolation(plan, `slot ${work.slot} is not of this lane`)
    if (!Number.isInteger(work.keep) || work.keep < 0) throw new PlanViolation(plan, `keep ${work.keep}`)
    if (work.tokens.length === 0) throw new PlanViolation(plan, `no tokens for slot ${work.slot}`)
    const length = work.keep + plannedTokens(work)
    if (length > contextSize) {
      throw new PlanViolation(plan, `slot ${work.slot} would hold ${length} tokens of ${contextSize}`)
    }
    for (const token of work.tokens) {
      if (!Number.isInteger(token) || token < 0 || token >= vocabularySize) {
        throw new PlanViolation(plan, `token ${token} is not in the vocabulary of ${vocabularySize}`)
      }
    }
    if (this.#isReleased(work.sequence)) throw new PlanViolation(plan, `${work.sequence} was released`)
    const holder = this.#holders[work.slot]!
    if (holder !== null && holder !== work.sequence) {
      throw new PlanViolation(plan, `slot ${work.slot} is given to ${work.sequence} but ${holder} holds it`)
    }
  }

  /** Guesses follow the one token of a decode. */
  #checkGuesses (plan: StepPlan, { sequence, tokens, guessCount, draft, sample }: SlotWork): void {
    if (guessCount === undefined && draft === undefined) return
    if (guessCount !== undefined && draft !== undefined) throw new PlanViolation(plan, `guesses and a draft for ${sequence}`)
    const wanted = guessCount ?? draft ?? 0
    if (!Number.isInteger(wanted) || wanted < 1) throw new PlanViolation(plan, `${wanted} guesses for ${sequence}`)
    if (sample === undefined || sample.index === 0) throw new PlanViolation(plan, `guesses for ${sequence}, which does not decode`)
    if (tokens.length !== (guessCount ?? 0) + 1) {
      throw new PlanViolation(plan, `${tokens.length - (guessCount ?? 0)} tokens of ${sequence} before its guesses, instead of one`)
    }
    if (sample.sampling.grammar !== null) throw new PlanViolation(plan, `guesses for ${sequence} under a grammar`)
  }

  #checkUniqueness (plan: StepPlan): void {
    const { work } = plan
    for (let index = 1; index < work.length; index++) {
      const { slot, sequence } = work[index]!
      for (let earlier = 0; earlier < index; earlier++) {
        if (work[earlier]!.slot === slot) throw new PlanViolation(plan, `slot ${slot} occurs twice`)
        if (work[earlier]!.sequence === sequence) throw new PlanViolation(plan, `sequence ${sequence} occurs twice`)
      }
    }
  }

  #checkCopy (plan: StepPlan, work: SlotWork, source: SlotId): void {
    if (this.#laneOf(source) !== plan.lane) throw new PlanViolation(plan, `copy from slot ${source} of another lane`)
    if (source === work.slot) throw new PlanViolation(plan, `slot ${source} is copied to itself`)
    if (plan.work.some((other) => other.slot === source && (other.copyFrom !== undefined || other.restore !== undefined))) {
      throw new PlanViolation(plan, `slot ${source} is copied and a source of slot ${work.slot} at once`)
    }
  }

  #checkParked (plan: StepPlan): void {
    for (const id of plan.dropped ?? []) {
      if (!this.#parked.has(id)) throw new PlanViolation(plan, `there is no saved cache ${id} to drop`)
      if ([...this.#running.values()].some(({ work }) => work.some(({ restore }) => restore === id))) {
        throw new PlanViolation(plan, `saved cache ${id} is dropped while it is being restored`)
      }
    }
    for (const { slot, park, restore, copyFrom } of plan.work) {
      if (park !== undefined) {
        if (park <= this.#lastParkId) throw new PlanViolation(plan, `cache ${park} is saved after cache ${this.#lastParkId}`)
        this.#lastParkId = park
        if (!this.cache(slot).isKnown || this.cache(slot).length === 0) throw new PlanViolation(plan, `slot ${slot} holds nothing to save`)
      }
      if (restore === undefined) continue
      if (copyFrom !== undefined) throw new PlanViolation(plan, `slot ${slot} is copied and restored at once`)
      const saved = this.#parked.get(restore)
      if (saved === undefined || plan.dropped?.includes(restore) === true) throw new PlanViolation(plan, `there is no saved cache ${restore}`)
      if (this.#running.get(saved.savedBy.lane) === saved.savedBy) throw new PlanViolation(plan, `cache ${restore} is still being saved`)
    }
  }

  /** What is kept must be there, known, and computed under this plan's adapter set. */
  #checkKept (plan: StepPlan): void {
    for (const work of plan.work) {
      if (work.keep === 0) continue
      const slot = work.copyFrom ?? work.slot
      const cache = work.restore === undefined ? this.cache(slot) : this.#parked.get(work.restore)!.cache
      if (!cache.isKnown) throw new PlanViolation(plan, `slot ${slot} lost its content, ${work.keep} tokens of it are kept`)
      if (work.keep > cache.length) {
        throw new PlanViolation(plan, `slot ${slot} holds ${cache.length} tokens, ${work.keep} are to be kept`)
      }
      if (cache.adapters !== plan.adapters.key) {
        throw new PlanViolation(plan,
          `slot ${slot} was computed under '${cache.adapters}', the plan's adapter set is '${plan.adapters.key}'`)
      }
    }
  }

  /** A sequence stays in its slot, and what the slot holds is exactly what the sequence says it is. */
  #checkSequence (plan: StepPlan, work: SlotWork): void {
    const { slot, sequence, sample } = work
    let record = this.#sequences.get(sequence)
    if (record === undefined) {
      record = {
        slot: null,
        adapters: plan.adapters.key,
        promptLength: null,
        verifiedLength: 0,
        verifiedHash: SlotCache.rootHash(plan.adapters.key),
        drawnIndex: -1,
        drawnTokens: []
      }
      this.#sequences.set(sequence, record)
    }
    // It is new, or it comes back.
    if (record.slot === null) record.slot = slot
    this.#holders[slot] = sequence
    if (record.slot !== slot) throw new PlanViolation(plan, `${sequence} moved from slot ${record.slot} to ${slot}`)
    if (record.adapters !== plan.adapters.key) throw new PlanViolation(plan, `${sequence} changed its adapter set`)
    if (sample === undefined) {
      // What it drew before it was preempted is computed again.
      const knownLength = (record.promptLength ?? Infinity) + record.drawnIndex + 1
      if (this.cache(slot).length >= knownLength) throw new PlanViolation(plan, `nothing is drawn for the decoding ${sequence}`)
      return
    }
    const { history, index, promptLength } = sample
    if (index !== history.length - promptLength || index < 0) {
      throw new PlanViolation(plan,
        `${sequence} draws number ${index} with ${history.length} tokens of which ${promptLength} are prompt`)
    }
    record.promptLength ??= promptLength
    if (promptLength !== record.promptLength) throw new PlanViolation(plan, `${sequence} changed its prompt`)
    if (index !== record.drawnIndex + 1) {
      throw new PlanViolation(plan, `${sequence} draws number ${index} after number ${record.drawnIndex}`)
    }
    const { drawnTokens } = record
    for (const [position, drawn] of drawnTokens.entries()) {
      const told = history[history.length - drawnTokens.length + position]
      if (told !== drawn) throw new PlanViolation(plan, `${sequence} drew ${drawn}, its history says ${told}`)
    }
    this.#compareHistory(plan, work, record, history)
  }

  #compareHistory (plan: StepPlan, work: SlotWork, record: SequenceRecord, history: readonly Token[]): void {
    const cache = this.cache(work.slot)
    const length = cache.length - (work.guessCount ?? 0)
    if (length !== history.length) {
      throw new PlanViolation(plan,
        `slot ${work.slot} holds ${length} tokens, the history of ${work.sequence} ${history.length}`)
    }
    let hash = record.verifiedHash
    for (let index = record.verifiedLength; index < history.length; index++) {
      hash = SlotCache.nextHash(hash, history[index]!)
    }
    record.verifiedLength = history.length
    record.verifiedHash = hash
    if (hash !== cache.hashAt(length)) {
      throw new PlanViolation(plan, `slot ${work.slot} does not hold the history of ${work.sequence}`)
    }
  }

  #laneOf (slot: SlotId): number {
    return slot >= 0 && slot < this.#caches.length ? Math.floor(slot / this.#limits.slotsPerLane) : -1
  }
}
