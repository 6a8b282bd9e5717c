import type { AdapterSet, AdapterSetKey } from '../domain/adapter-set.ts'
import { ServerError } from '../domain/errors.ts'
import type { LaneId, Millis, ParkId, SequenceId, Token } from '../domain/ids.ts'
import { type ParkedCache, ParkedCaches } from './parked-caches.ts'
import { planSize, plannedTokens, type DrawnToken, type SlotWork, type StepPlan, type WorkOutcome } from './plan.ts'
import { admissionPolicies, type AdmissionPolicy } from './policies/admission.ts'
import { place } from './policies/placement.ts'
import { mostHeld } from './policies/prefix-search.ts'
import { Rhythm } from './policies/rhythm.ts'
import { type Guess, Speculation } from './policies/speculation.ts'
import { ThreadCounts, type ThreadCount } from './policies/thread-count.ts'
import { threadShare } from './policies/thread-shares.ts'
import { Turns } from './policies/turns.ts'
import type { NewSequence, SchedulerConfig, SchedulerSnapshot, SequenceEvent } from './scheduler-types.ts'
import { Sequence } from './sequence.ts'
import { ServiceRate } from './service-rate.ts'
import { mendBrokenPromises, readerFor, settleSharedPrefills } from './shared-prefill.ts'
import { SlotTable } from './slot-table.ts'
import { besidesMs, draftOf } from './step-outcome.ts'

/** A prompt is read to its end when it is not longer than its piece by more than this. */
const nearlyAll = 1.25

/** So many may go before one whose adapters fit worse, */
const mostOvertaken = 8
/** if they are among so many that are next. */
const lookedThrough = 16

/** Of so many steps of a lane, one reads prompts in order of admission. */
const arrivalEvery = 4

const noGuess: Guess = { tokens: [], draft: 0 }
const noneAtAll: ReadonlyMap<Sequence, Guess> = new Map()

interface Lane {
  readonly id: LaneId
  readonly threadCounts: ThreadCounts
  /** For the share of the threads that it had last. */
  threadCount: ThreadCount
  /** It has work, and other lanes have all threads. */
  isWaitingForThreads: boolean
  readonly turns: Turns
  readonly rhythm: Rhythm
  /** Null where nothing is guessed. */
  readonly speculation: Speculation | null
  /** The plan that is being carried out. */
  inFlight: StepPlan | null
  inFlightSince: Millis
  planCount: number
  /** Ended since the last plan; the engine is told with the next one. */
  released: SequenceId[]
  /** Lost their slot since the last plan; the engine is told with the next one. */
  preempted: SequenceId[]
}

/**
 * Decides what runs: continuous batching with chunked prefill, prefix reuse and several lanes. It knows no clock, no I/O
 * and no randomness: time comes in as an argument, plans go out as data, and the same calls give the same plans.
 *
 * The life of a step: `schedule` (a lane asks for a plan) -> the engine carries it out -> `commit` (what came of it).
 * `add` and `abort` may come at any moment between. `expire` enforces deadlines.
 *
 * The idea is that of vLLM's scheduler (v1): a sequence has `tokens` and `computed`, and `computed` catches up.
 */
export class Scheduler {
  readonly #config: SchedulerConfig
  readonly #endTokens: ReadonlySet<Token>
  readonly #table: SlotTable
  readonly #admission: AdmissionPolicy
  readonly #parked: ParkedCaches
  /** What the plans that are being carried out save. */
  readonly #saving = new Map<ParkId, ParkedCache>()
  readonly #serviceRate = new ServiceRate()
  readonly #lanes: readonly Lane[]
  /** Without a slot: in order of arrival, or of losing it. */
  readonly #waiting = new Map<SequenceId, Sequence>()
  /** With a slot, in order of admission. */
  readonly #running = new Map<SequenceId, Sequence>()
  /** No deadline passes before this moment. */
  #earliestDeadline: Millis = Infinity
  /** Prompts of those that wait and never had a slot. */
  #waitingTokens = 0
  /** Of those that wait, they had a slot and lost it. */
  #displacedCount = 0
  #planCount = 0
  #lastStepAt: Millis | null = null
  #counters = {
    steps: 0,
    promptTokens: 0,
    prefixQueriedTokens: 0,
    prefixHitTokens: 0,
    drawnTokens: 0,
    guessedTokens: 0,
    rightGuesses: 0,
    draftedTokens: 0,
    rightDrafts: 0,
    preempted: 0,
    recomputedTokens: 0,
    added: 0,
    finished: 0,
    failed: 0,
    aborted: 0
  }

  /** @throws RangeError when the numbers of the config contradict each other. */
  constructor (config: SchedulerConfig) {
    if (config.stepTokens < config.slotsPerLane) {
      throw new RangeError(`stepTokens is ${config.stepTokens}; ${config.slotsPerLane} slots need at least as many`)
    }
    if (config.threads < config.laneCount) {
      throw new RangeError(`threads is ${config.threads}; ${config.laneCount} lanes need at least as many`)
    }
    this.#config = config
    this.#endTokens = new Set(config.endTokens)
    const { mostGuesses = 0, hasDraftModel = false } = config
    this.#table = new SlotTable(config.laneCount, config.slotsPerLane)
    this.#parked = new ParkedCaches(config.parkBytes ?? 0)
    this.#admission = admissionPolicies[config.policy]()
    this.#lanes = Array.from({ length: config.laneCount }, (_, index): Lane => {
      const threadCounts = new ThreadCounts()
      return {
        id: index as LaneId,
        threadCounts,
        threadCount: threadCounts.upTo(config.threads),
        isWaitingForThreads: false,
        turns: new Turns(config.turnSteps),
        rhythm: new Rhythm(config.targetItlMs),
        speculation: mostGuesses === 0 ? null : new Speculation({ ...config, mostGuesses, hasDraftModel, endTokens: this.#endTokens }),
        inFlight: null,
        inFlightSince: 0,
        planCount: 0,
        released: [],
        preempted: []
      }
    })
  }

  /**
   * Queues a sequence; never blocks.
   * @returns how others ended that were pushed out of a full queue.
   * @throws ServerError `queue_full`, or `context_length_exceeded` for a prompt that leaves no room for a token.
   */
  add (request: NewSequence, now: Millis): readonly SequenceEvent[] {
    return this.addAll([request], now)
  }

  /**
   * Queues the sequences of a request, which have one tenant: all or, when it throws, none.
   * @returns how others ended that were pushed out of a full queue.
   * @throws ServerError what `add` throws.
   */
  addAll (requests: readonly NewSequence[], now: Millis): readonly SequenceEvent[] {
    const { maxQueue, maxQueuePerTenant = Infinity, maxQueueTokens = Infinity, contextSize } = this.#config
    for (const { prompt } of requests) {
      if (prompt.length >= 1 && prompt.length < contextSize) continue
      throw new ServerError('context_length_exceeded',
        `The prompt has ${prompt.length} tokens; this model takes 1 to ${contextSize - 1}`)
    }
    // Those that lost their slot are not turned away for it; they come back first. Those that the next plan gives a slot do not wait.
    const freeSlots = Math.max(0, this.#table.freeCount - this.#displacedCount)
    const waiting = this.#waiting.size - this.#displacedCount - freeSlots
    const sequences = requests.map((request) => new Sequence(request, now))
    const wanted = requests.length === 1 ? '' : ` and this one asks for ${requests.length} choices`
    const ofTenant = waiting <= 0 ? 0 : Math.min(waiting, this.#waitingOfTenant(requests))
    if (ofTenant > 0 && ofTenant + requests.length > maxQueuePerTenant) {
      throw this.#queueFull(`${ofTenant} of your requests are waiting${wanted}; the limit is ${maxQueuePerTenant} for each user`, ofTenant + requests.length - maxQueuePerTenant, now)
    }
    const tokens = tokensOf(sequences)
    const waitingTokens = waiting <= 0 ? 0 : this.#tokensBeyond(freeSlots)
    // A prompt that is longer than the limit waits alone.
    const isRoom = (turnedAway: readonly Sequence[]): boolean => waiting + requests.length - turnedAway.length <= maxQueue &&
      (waiting - turnedAway.length <= 0 || waitingTokens + tokens - tokensOf(turnedAway) <= maxQueueTokens)
    const pushedOut = isRoom([]) ? [] : this.#admission.makeRoom(sequences, isRoom)
    const missingPlaces = waiting + requests.length - maxQueue
    const limit = missingPlaces > 0 ? `${maxQueue}` : `${maxQueueTokens} tokens, and their prompts have ${waitingTokens}`
    if (!isRoom(pushedOut)) {
      throw this.#queueFull(`${areWaiting(waiting)}${wanted}; the limit is ${limit}`, Math.max(1, missingPlaces), now)
    }
    const events = pushedOut.map((sequence) => this.#fail(sequence, this.#queueFull(
      `${areWaiting(waiting)}, and others go first or have fewer of them; the limit is ${limit}`, 1, now)))
    for (const sequence of sequences) {
      const { request } = sequence
      if (request.sharesPromptWith !== undefined) {
        sequence.leader = this.#waiting.get(request.sharesPromptWith) ?? this.#running.get(request.sharesPromptWith) ?? null
      }
      this.#waiting.set(sequence.id, sequence)
      this.#waitingTokens += sequence.promptLength
      this.#admission.join(sequence, now)
      this.#earliestDeadline = Math.min(this.#earliestDeadline, request.queueDeadline, request.deadline)
      this.#counters.added++
    }
    return events
  }

  /** Ends a sequence without a word; unknown and ended ones are ignored. Its slot is free for the next plan. */
  abort (id: SequenceId): void {
    const sequence = this.#waiting.get(id) ?? this.#running.get(id)
    if (sequence === undefined || sequence.isEnded) return
    this.#counters.aborted++
    this.#end(sequence)
  }

  /** Ends a sequence as finished, on the word of whoever reads its text (a stop text was found). No event follows. */
  finish (id: SequenceId): void {
    // Its last token may be read after it lost its slot.
    const sequence = this.#running.get(id) ?? this.#waiting.get(id)
    if (sequence === undefined || sequence.isEnded) return
    this.#counters.finished++
    this.#end(sequence)
  }

  /** Ends what has waited or run too long. */
  expire (now: Millis): readonly SequenceEvent[] {
    if (now < this.#earliestDeadline) return []
    const events: SequenceEvent[] = []
    this.#earliestDeadline = Infinity
    for (const sequence of this.#waiting.values()) {
      const { queueDeadline, deadline } = sequence.request
      if (sequence.hasBegun) {
        if (deadline <= now) events.push(this.#outOfTime(sequence, now))
        else this.#earliestDeadline = Math.min(this.#earliestDeadline, deadline)
      } else if (queueDeadline <= now || deadline <= now) {
        const waitedMs = Math.round(now - sequence.addedAt)
        events.push(this.#fail(sequence, new ServerError('queue_timeout',
          `The request waited ${waitedMs} ms for a free slot; ${this.#waiting.size} requests are waiting`)))
      } else {
        this.#earliestDeadline = Math.min(this.#earliestDeadline, queueDeadline, deadline)
      }
    }
    for (const sequence of this.#running.values()) {
      if (sequence.isEnded) continue
      const { deadline } = sequence.request
      if (deadline <= now) events.push(this.#outOfTime(sequence, now))
      else this.#earliestDeadline = Math.min(this.#earliestDeadline, deadline)
    }
    return events
  }

  /** What the lane does next; null when nothing can run in it now. Its last plan must have been committed. */
  schedule (laneId: LaneId, now: Millis): StepPlan | null {
    const lane = this.#lane(laneId)
    if (lane.inFlight !== null) throw new Error(`Lane ${laneId} is carrying out plan ${lane.inFlight.id}`)
    // Before free slots are given away: what a leader left behind in one is for those that waited for it.
    settleSharedPrefills(this.#running.values(), this.#table)
    this.#admit(lane, now)

    const sequences = this.#runningIn(laneId)
    if (sequences.length === 0) return null
    const threads = this.#threadsFor(lane)
    lane.isWaitingForThreads = threads === 0
    if (threads === 0) return null
    lane.threadCount = lane.threadCounts.upTo(threads)
    const adapters = lane.turns.next(adapterSetsOf(sequences))
    const turn = sequences.filter((sequence) => sequence.request.adapters.key === adapters.key)
    // Before anything is asked about what is pending: it changes that.
    for (const sequence of turn) mendBrokenPromises(sequence, this.#table)

    // Not beside prompts: guesses would take their room in the step, and passes of their own.
    const mayGuess = !lane.threadCount.isTrying && turn.every(isFlowing)
    const guesses = mayGuess ? lane.speculation?.guess(turn) ?? noneAtAll : noneAtAll
    const work: SlotWork[] = []
    let budget = this.#config.stepTokens
    /** Of the budget, for prompts. */
    let room = Infinity
    const include = (sequence: Sequence): void => {
      if (budget === 0 || room <= 0) return
      // A rest that takes hardly longer is not left for a step of its own.
      const isNearlyAll = sequence.pending <= room * nearlyAll
      const item = this.#workFor(sequence, Math.min(budget, isNearlyAll ? Infinity : room), guesses.get(sequence) ?? noGuess, now)
      budget -= plannedTokens(item)
      room -= plannedTokens(item)
      work.push(item)
    }
    // Decode first: streams that flow keep flowing. Then prompts, as far as the budget goes; and no further than streams, those of
    // other adapter sets too, can wait for their next token.
    turn.filter(isDecoding).forEach(include)
    room = sequences.some(isFlowing) ? lane.rhythm.promptBudget : Infinity
    const readers = new Set(this.#inOrder(lane, turn.filter((sequence) => !isDecoding(sequence))).map(readerFor))
    for (const reader of readers) if (!isDecoding(reader)) include(reader)
    const dropped = this.#parked.takeDropped()
    const plan: StepPlan = {
      id: ++this.#planCount,
      lane: laneId,
      threads: planSize({ work }).promptTokens === 0 ? lane.threadCount.threads : lane.threadCount.proven,
      adapters,
      work: this.#withSaves(work, lane, sequences),
      released: lane.released,
      ...(dropped.length === 0 ? {} : { dropped }),
      ...(lane.preempted.length === 0 ? {} : { preempted: lane.preempted })
    }
    lane.released = []
    lane.preempted = []
    lane.planCount++
    lane.inFlight = plan
    lane.inFlightSince = now
    return plan
  }

  /** Takes in what came of a plan; a rejected step is committed with an error for each of its slots. */
  commit (plan: StepPlan, outcomes: readonly WorkOutcome[], now: Millis): readonly SequenceEvent[] {
    const lane = this.#lane(plan.lane)
    if (lane.inFlight !== plan) throw new Error(`Plan ${plan.id} is not being carried out`)
    lane.inFlight = null
    this.#counters.steps++
    this.#lastStepAt = now
    this.#serviceRate.advance(now)
    this.#learn(lane, plan, outcomes, now)
    const outcomeOf = new Map(outcomes.map((outcome) => [outcome.slot, outcome]))
    const events: SequenceEvent[] = []
    for (const item of plan.work) {
      const sequence = this.#running.get(item.sequence)
      if (sequence === undefined) throw new Error(`Sequence ${item.sequence} of plan ${plan.id} is not running`)
      const outcome = outcomeOf.get(item.slot) ?? { slot: item.slot, error: new Error('The engine gave no outcome') }
      this.#take(sequence, item, outcome, events)
    }
    return events
  }

  /** What steps take. One that failed, or lost a cache, did not do all that was planned. */
  #learn ({ inFlightSince, threadCount, turns, rhythm, speculation }: Lane, plan: StepPlan, outcomes: readonly WorkOutcome[], now: Millis): void {
    if (!outcomes.every((outcome) => 'token' in outcome)) return
    const step = { ...planSize(plan), durationMs: Math.max(0, now - inFlightSince - besidesMs(outcomes)) }
    // A trial's steps, which only decode, do not tell what others take.
    const isOfTrial = step.promptTokens === 0 && threadCount.isTrying
    if (step.promptTokens === 0 && !isOfTrial && speculation !== null) {
      const draft = draftOf(outcomes)
      const guesses = plan.work.reduce((sum, { guessCount = 0 }) => sum + guessCount, draft.count)
      speculation.learn(step.decodes, guesses, step.durationMs, draft)
    }
    if (step.guesses > 0) return
    if (!isOfTrial) turns.learn(step)
    if (!isOfTrial) rhythm.learn(step)
    threadCount.learn(step, now)
  }

  /** Sequences without a slot. */
  get waitingCount (): number { return this.#waiting.size }

  /** Whether a lane has work that it can do as soon as the step of another one ends. */
  get isLaneWaiting (): boolean { return this.#lanes.some(({ isWaitingForThreads }) => isWaitingForThreads) }

  snapshot (): SchedulerSnapshot {
    return {
      ...this.#counters,
      ...this.#parked.snapshot(),
      waiting: this.#waiting.size,
      displaced: this.#displacedCount,
      running: this.#running.size,
      lastStepAt: this.#lastStepAt,
      contextSize: this.#config.contextSize,
      lanes: this.#lanes.map((lane) => {
        const slots = this.#table.ofLane(lane.id)
        return {
          lane: lane.id,
          slotCount: slots.length,
          busySlots: slots.filter((slot) => slot.holder !== null).length,
          isStepping: lane.inFlight !== null,
          threads: lane.threadCount.proven,
          cachedTokens: slots.reduce((sum, slot) => sum + slot.residentLength, 0)
        }
      })
    }
  }

  /** Prompts of those that wait and never had a slot, but for so many that are given one: the longest, so that nobody is turned away for those. */
  #tokensBeyond (freeSlots: number): number {
    if (freeSlots === 0 || this.#config.maxQueueTokens === undefined) return this.#waitingTokens
    const lengths: number[] = []
    for (const { promptLength, wasAdmitted } of this.#waiting.values()) if (!wasAdmitted) lengths.push(promptLength)
    return lengths.sort((a, b) => b - a).slice(freeSlots).reduce((sum, length) => sum + length, 0)
  }

  /** How many wait that never had a slot, of the tenant of a request; not counted where there is no limit to them. */
  #waitingOfTenant ([first]: readonly NewSequence[]): number {
    if (first === undefined || this.#config.maxQueuePerTenant === undefined) return 0
    let count = 0
    for (const { request, wasAdmitted } of this.#waiting.values()) if (!wasAdmitted && request.tenant === first.tenant) count++
    return count
  }

  /** Come back when there are the places that are missing, and some for others who were turned away too. */
  #queueFull (message: string, missingPlaces: number, now: Millis): ServerError {
    this.#serviceRate.advance(now)
    const retryAfterMs = this.#serviceRate.timeFor(missingPlaces + this.#config.maxQueue / 8) ?? undefined
    return new ServerError('queue_full', message, { retryAfterMs })
  }

  /**
   * Gives slots to those who may have them: free ones, of whichever lane; then, in this lane, which carries out no plan, such as
   * others have to give up.
   */
  #admit (lane: Lane, now: Millis): void {
    if (this.#waiting.size === 0) return
    const passed = new Set<Sequence>()
    for (let freeSlots = this.#table.freeCount; freeSlots > 0; freeSlots--) {
      const sequence = this.#nextFitting(passed, now)
      if (sequence === null) return
      // A choice that waits for its request's first choice to prefill the prompt keeps a slot, so that nobody overtakes it.
      if (this.#isWaitingForPrompt(sequence)) {
        passed.add(sequence)
        continue
      }
      this.#place(sequence, now)
    }
    while (this.#table.freeCount === 0) {
      const takeover = this.#admission.takeover(passed, this.#runningIn(lane.id))
      if (takeover === null) return
      if (this.#isWaitingForPrompt(takeover.sequence)) {
        passed.add(takeover.sequence)
        continue
      }
      this.#preempt(takeover.victim, now)
      this.#place(takeover.sequence, now)
    }
  }

  /**
   * Who is next; but one whose adapters run in a lane with a free slot may go before one whose adapters would have to take turns with
   * others there, now and then: a step for one sequence more of a set takes hardly longer, one more set costs all of them their time.
   */
  #nextFitting (passed: ReadonlySet<Sequence>, now: Millis): Sequence | null {
    const first = this.#admission.next(passed, now)
    if (first === null || first.wasAdmitted || first.overtaken >= mostOvertaken || this.#fits(first)) return first
    const aside = new Set(passed).add(first)
    for (let looked = 0; looked < lookedThrough; looked++) {
      const other = this.#admission.next(aside, now)
      if (other === null || !this.#admission.mayOvertake(other, first)) return first
      if (this.#fits(other)) {
        first.overtaken++
        return other
      }
      aside.add(other)
    }
    return first
  }

  /** Whether a lane with a free slot runs its adapters already, or nothing. */
  #fits ({ request: { adapters: { key } } }: Sequence): boolean {
    return this.#lanes.some(({ id }) => {
      const holders = this.#table.ofLane(id).map(({ holder }) => holder)
      return holders.includes(null) &&
        (holders.some((holder) => holder?.request.adapters.key === key) || holders.every((holder) => holder === null))
    })
  }

  /** Gives it one of the free slots. */
  #place (sequence: Sequence, now: Millis): void {
    const placement = place(sequence, this.#table, { parked: this.#findParked(sequence), lanesAreApart: this.#config.lanesAreApart ?? false })
    if (placement === null) throw new Error(`There is no free slot for sequence ${sequence.id}`)
    this.#table.take(placement.slot, sequence, placement.keep, placement.copyFrom, placement.restore)
    if (placement.restore !== null) this.#parked.use(placement.restore)
    sequence.awaits = placement.awaits
    this.#waiting.delete(sequence.id)
    this.#admission.leave(sequence)
    // Nobody pays twice.
    this.#admission.admit(sequence, sequence.wasAdmitted ? 0 : sequence.toCompute, now)
    if (sequence.wasAdmitted) {
      this.#displacedCount--
    } else {
      sequence.paidTokens = sequence.toCompute
      this.#waitingTokens -= sequence.promptLength
    }
    sequence.wasAdmitted = true
    this.#running.set(sequence.id, sequence)
  }

  /** Takes its slot from it. Its tokens are kept, its cache stays in the slot as long as nobody needs the place. */
  #preempt (sequence: Sequence, now: Millis): void {
    const slot = slotOf(sequence)
    this.#running.delete(sequence.id)
    this.#admission.release(sequence)
    this.#table.release(slot)
    if (sequence.isPlanned) this.#lane(slot.lane).preempted.push(sequence.id)
    sequence.isPlanned = false
    sequence.preemptions++
    this.#dropRestore(sequence)
    sequence.slot = null
    sequence.copyFrom = null
    sequence.awaits = null
    sequence.computed = 0
    this.#waiting.set(sequence.id, sequence)
    this.#displacedCount++
    this.#counters.preempted++
    this.#admission.join(sequence, now)
  }

  /** Prompts in the order in which they are read; but now and then the one that came first goes first, so that each comes to its end. */
  #inOrder ({ planCount }: Lane, prompts: Sequence[]): readonly Sequence[] {
    if (prompts.length < 2 || planCount % arrivalEvery === 0) return prompts
    return prompts.sort((a, b) => this.#admission.comparePrompts(a, b))
  }

  /** The saved cache that holds most of a sequence, if restoring it takes less time than computing that. */
  #findParked (sequence: Sequence): ReturnType<ParkedCaches['find']> {
    const found = this.#parked.find(sequence)
    if (found === null) return null
    const promptTokenMs = Math.max(...this.#lanes.map(({ rhythm }) => rhythm.promptTokenMs))
    return promptTokenMs > 0 && this.#parked.restoreMs(found.cache.length) > found.keep * promptTokenMs ? null : found
  }

  readonly #isWaitingForPrompt = (sequence: Sequence): boolean => {
    const leaderId = sequence.request.sharesPromptWith
    if (leaderId === undefined) return false
    // Of those that come back, the one that lost its slot last goes first: it waits for none behind it.
    if (this.#waiting.has(leaderId)) return !sequence.wasAdmitted
    const leader = this.#running.get(leaderId)
    return leader !== undefined && !leader.isPromptComputed
  }

  /** How many threads its next step may have; 0 while the steps of other lanes have all of them. */
  #threadsFor (lane: Lane): number {
    const { threads, lanesAreApart = false } = this.#config
    const sharing = this.#lanes.filter(({ id }) => lanesAreApart || this.#table.ofLane(id).some(({ holder }) => holder !== null))
    const taken = this.#lanes.reduce((sum, { inFlight }) => sum + (inFlight?.threads ?? 0), 0)
    return threadShare(threads, taken, sharing.map(({ id }) => id), lane.id)
  }

  #runningIn (lane: LaneId): Sequence[] {
    const sequences: Sequence[] = []
    for (const sequence of this.#running.values()) if (sequence.slot?.lane === lane) sequences.push(sequence)
    return sequences
  }

  #workFor (sequence: Sequence, budget: number, { tokens: guesses, draft }: Guess, now: Millis): SlotWork {
    const slot = slotOf(sequence)
    if (!sequence.wasPlanned) this.#start(sequence, now)
    sequence.isPlanned = true
    const { computed, tokens } = sequence
    const count = Math.min(sequence.pending, budget)
    return {
      slot: slot.id,
      sequence: sequence.id,
      ...(sequence.copyFrom === null ? {} : { copyFrom: sequence.copyFrom.id }),
      ...(sequence.restore === null ? {} : { restore: sequence.restore.id }),
      keep: computed,
      tokens: [...tokens.slice(computed, computed + count), ...guesses],
      ...(guesses.length === 0 ? {} : { guessCount: guesses.length }),
      ...(draft === 0 ? {} : { draft }),
      ...(count < sequence.pending
        ? {}
        : {
            sample: {
              sampling: sequence.request.sampling,
              index: sequence.drawnTokens,
              history: tokens,
              promptLength: sequence.promptLength
            }
          })
    }
  }

  /** Has the caches saved that the work overwrites, as far as that is worth it and streams can wait for it. */
  #withSaves (work: readonly SlotWork[], lane: Lane, sequences: readonly Sequence[]): readonly SlotWork[] {
    let longestMs = sequences.some(isFlowing) ? lane.rhythm.spareMs : Infinity
    return work.map((item) => {
      const slot = this.#table.slots[item.slot]!
      const { overwritten } = slot
      slot.overwritten = null
      if (overwritten === null) return item
      const saved = this.#parked.park(overwritten, () => mostHeld(overwritten, this.#table.slots), longestMs)
      if (saved === null) return item
      longestMs -= this.#parked.saveMs(saved.length)
      this.#saving.set(saved.id, saved)
      return { ...item, park: saved.id }
    })
  }

  #settleCaches (sequence: Sequence, { park, keep }: SlotWork, outcome: WorkOutcome): void {
    const saved = park === undefined ? undefined : this.#saving.get(park)
    if (saved !== undefined) {
      this.#saving.delete(saved.id)
      this.#parked.settle(saved, 'parked' in outcome ? outcome.parked : undefined)
    }
    const { restore } = sequence
    if (restore === null) return
    sequence.restore = null
    const durationMs = 'restoredInMs' in outcome ? outcome.restoredInMs : undefined
    if ('isCacheLost' in outcome) this.#parked.release(restore, null)
    else this.#parked.release(restore, durationMs === undefined ? undefined : { tokens: keep, durationMs })
  }

  /** It restores nothing; what it would have is as it was. */
  #dropRestore (sequence: Sequence): void {
    if (sequence.restore !== null) this.#parked.release(sequence.restore, undefined)
    sequence.restore = null
  }

  #start (sequence: Sequence, now: Millis): void {
    sequence.wasPlanned = true
    sequence.startedAt = now
    this.#admission.adjust(sequence, sequence.pending - sequence.paidTokens)
    this.#counters.prefixQueriedTokens += sequence.promptLength
  }

  #take (sequence: Sequence, item: SlotWork, outcome: WorkOutcome, events: SequenceEvent[]): void {
    const slot = slotOf(sequence)
    sequence.copyFrom = null
    this.#settleCaches(sequence, item, outcome)
    if ('error' in outcome) {
      this.#table.forget(slot)
      sequence.computed = 0
      if (sequence.isEnded) this.#free(sequence)
      else events.push(this.#fail(sequence, ServerError.from(outcome.error, 'engine_error')))
      return
    }
    if ('isCacheLost' in outcome) {
      slot.residentLength = 0
      sequence.computed = 0
      sequence.cachedTokens = 0
      if (sequence.isEnded) this.#free(sequence)
      return
    }
    // By now it is known that a saved cache was there.
    if (!sequence.isAnnounced) this.#counters.prefixHitTokens += sequence.cachedTokens
    const { guessCount = 0 } = item
    const { further = [], drafted } = outcome
    // A right guess is a token like any other. Wrong ones stay in the cache beyond what is counted, until the slot's next plan cuts it.
    const appended = item.tokens.length - guessCount + (sequence.isEnded ? 0 : further.length)
    sequence.computed = item.keep + appended
    this.#counters.guessedTokens += guessCount + (drafted?.count ?? 0)
    this.#counters.rightGuesses += further.length
    if (item.draft !== undefined) {
      this.#counters.draftedTokens += drafted?.count ?? 0
      this.#counters.rightDrafts += further.length
      this.#lane(slot.lane).speculation?.noteDraft(sequence, drafted, further.length)
    }
    const fresh = Math.max(0, sequence.computed - Math.max(item.keep, sequence.furthest))
    this.#counters.recomputedTokens += appended - fresh
    this.#counters.promptTokens += Math.min(fresh, Math.max(0, sequence.promptLength - (sequence.computed - fresh)))
    sequence.furthest = Math.max(sequence.furthest, sequence.computed)
    slot.residentLength = sequence.computed
    if (sequence.isEnded) {
      this.#free(sequence)
      return
    }
    if (!sequence.isAnnounced) {
      sequence.isAnnounced = true
      events.push({
        type: 'sequence-started',
        id: sequence.id,
        slot: slot.id,
        cachedTokens: sequence.cachedTokens,
        queuedMs: (sequence.startedAt ?? sequence.addedAt) - sequence.addedAt
      })
    }
    if (item.sample === undefined) return
    if (outcome.token === null) {
      events.push(this.#fail(sequence, new ServerError('engine_error', 'The model drew no token')))
      return
    }
    const { token, logprobs } = outcome
    const drawn: readonly DrawnToken[] = [{ token, ...(logprobs === undefined ? {} : { logprobs }) }, ...further]
    for (const each of drawn) if (!this.#draw(sequence, each, events)) return
  }

  /** @returns whether the sequence goes on. */
  #draw (sequence: Sequence, { token, logprobs }: DrawnToken, events: SequenceEvent[]): boolean {
    const { maxTokens } = sequence.request
    sequence.tokens.push(token)
    this.#counters.drawnTokens++
    this.#admission.charge(sequence)
    // With `ignoreEos` the engine draws none, unless a grammar is complete and nothing else can follow.
    const isEnd = this.#endTokens.has(token)
    if (!isEnd) {
      events.push({ type: 'token-drawn', id: sequence.id, token, ...(logprobs === undefined ? {} : { logprobs }) })
    }
    const isFull = sequence.drawnTokens >= (maxTokens ?? Infinity) || sequence.tokens.length >= this.#config.contextSize
    if (!isEnd && !isFull) return true
    this.#counters.finished++
    events.push({
      type: 'sequence-finished',
      id: sequence.id,
      reason: isEnd ? 'stop' : 'length',
      drawnTokens: sequence.drawnTokens
    })
    this.#end(sequence)
    return false
  }

  #fail (sequence: Sequence, error: ServerError): SequenceEvent {
    this.#counters.failed++
    this.#end(sequence)
    return { type: 'sequence-failed', id: sequence.id, error }
  }

  /** Silences a sequence and frees its slot, or leaves that to `commit` while a plan with it is being carried out. */
  #end (sequence: Sequence): void {
    if (this.#waiting.delete(sequence.id)) {
      this.#admission.leave(sequence)
      if (sequence.wasAdmitted) this.#displacedCount--
      else this.#waitingTokens -= sequence.promptLength
      // Where it was last, its preemption has been told by then.
      if (sequence.wasPlanned && sequence.lane !== null) this.#lane(sequence.lane).released.push(sequence.id)
      return
    }
    const plan = this.#lane(slotOf(sequence).lane).inFlight
    if (plan !== null && plan.work.some((item) => item.sequence === sequence.id)) sequence.isEnded = true
    else this.#free(sequence)
  }

  #free (sequence: Sequence): void {
    const slot = slotOf(sequence)
    this.#dropRestore(sequence)
    this.#running.delete(sequence.id)
    this.#admission.release(sequence)
    this.#serviceRate.noteLeft()
    this.#table.release(slot)
    if (sequence.wasPlanned) this.#lane(slot.lane).released.push(sequence.id)
  }

  #outOfTime (sequence: Sequence, now: Millis): SequenceEvent {
    const tookMs = Math.round(now - sequence.addedAt)
    return this.#fail(sequence, new ServerError('generation_timeout',
      `The request was ended after ${tookMs} ms, with ${sequence.drawnTokens} tokens drawn`))
  }

  #lane (id: LaneId): Lane {
    const lane = this.#lanes[id]
    if (lane === undefined) throw new RangeError(`Lane ${id} does not exist; there are ${this.#lanes.length}`)
    return lane
  }
}

const areWaiting = (count: number): string => count === 1 ? '1 request is waiting' : `${Math.max(0, count)} requests are waiting`

const tokensOf = (sequences: readonly Sequence[]): number => sequences.reduce((sum, { promptLength }) => sum + promptLength, 0)

/** One token is left to compute: the last one, after which the next is drawn. */
const isDecoding = (sequence: Sequence): boolean => sequence.pending === 1

/** Whether somebody waits for its next token, and gets it with every step. */
const isFlowing = (sequence: Sequence): boolean => isDecoding(sequence) && sequence.drawnTokens > 0

function slotOf (sequence: Sequence): NonNullable<Sequence['slot']> {
  if (sequence.slot === null) throw new Error(`Sequence ${sequence.id} has no slot`)
  return sequence.slot
}

function adapterSetsOf (sequences: readonly Sequence[]): Map<AdapterSetKey, AdapterSet> {
  const sets = new Map<AdapterSetKey, AdapterSet>()
  for (const { request: { adapters } } of sequences) if (!sets.has(adapters.key)) sets.set(adapters.key, adapters)
  return sets
}
