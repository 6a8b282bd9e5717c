import type { AdapterSet, AdapterSetKey } from '../domain/adapter-set.ts'
import { ServerError } from '../domain/errors.ts'
import { asLaneId, type LaneId, type Millis, type SequenceId, type Token } from '../domain/ids.ts'
import { CacheParking } from './cache-parking.ts'
import { Counters } from './counters.ts'
import { Deadlines, timeoutError } from './deadlines.ts'
import { Lane, laneOf } from './lane.ts'
import { planSize, plannedTokens, type ComputedOutcome, type DrawnToken, type SlotWork, type StepPlan, type WorkOutcome } from './plan.ts'
import { admissionPolicies, type AdmissionPolicy } from './policies/admission.ts'
import { pieceOf } from './policies/piece.ts'
import type { Guess } from './policies/speculation.ts'
import { passengers, readingOrder } from './policies/reading-order.ts'
import { roomOf, type StepRoom } from './policies/step-room.ts'
import { threadShare } from './policies/thread-shares.ts'
import { Roster } from './roster.ts'
import type { NewSequence, SchedulerConfig, SchedulerSnapshot, SchedulingLimits, SequenceEvent } from './scheduler-types.ts'
import { Sequence } from './sequence.ts'
import { mendBrokenPromises, readerFor, settleSharedPrefills } from './shared-prefill.ts'
import { SlotTable, slotOf } from './slot-table.ts'
import { slotWork } from './slot-work.ts'
import { WaitingLine } from './waiting-line.ts'

/** A prompt is read to its end when it is not longer than its piece by more than this. */
const nearlyAll = 1.25

/** So long after the last request that is no batch work the next one is expected at any moment. */
const urgentForMs: Millis = 10_000

const noGuess: Guess = { tokens: [], predicted: 0, draft: 0 }
const noneAtAll: ReadonlyMap<Sequence, Guess> = new Map()

/** What a step is to be. */
interface StepRequest {
  /** Those of the lane that it is for, in order of admission. */
  readonly chosen: readonly Sequence[]
  readonly room: StepRoom
  /** So many steps of the set whose turn it is have read prompts. */
  readonly readingSteps: number
  /** Ahead. */
  readonly mayGuess: boolean
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
  readonly #parking: CacheParking
  readonly #lanes: readonly Lane[]
  readonly #line: WaitingLine
  readonly #roster: Roster
  readonly #deadlines = new Deadlines()
  readonly #counters = new Counters()
  #planCount = 0
  #lastStepAt: Millis | null = null
  /** When a request came that is no batch work. */
  #urgentAt: Millis = -Infinity

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
    this.#table = new SlotTable(config.laneCount, config.slotsPerLane)
    this.#admission = admissionPolicies[config.policy]()
    this.#parking = new CacheParking(config.parkBytes ?? 0, this.#table)
    this.#lanes = Array.from({ length: config.laneCount }, (_, index) => new Lane(asLaneId(index), config, this.#endTokens))
    this.#line = new WaitingLine(config, this.#admission)
    this.#roster = new Roster({
      line: this.#line,
      table: this.#table,
      admission: this.#admission,
      parking: this.#parking,
      lanes: this.#lanes,
      lanesAreApart: config.lanesAreApart ?? false
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
    const { contextSize } = this.#config
    for (const { prompt } of requests) {
      if (prompt.length >= 1 && prompt.length < contextSize) continue
      throw new ServerError('context_length_exceeded',
        `The prompt has ${prompt.length} tokens; this model takes 1 to ${contextSize - 1}`)
    }
    const sequences = requests.map((request) => new Sequence(request, now))
    const turnedAway = this.#line.makeRoom(sequences, this.#table.freeCount, now)
    const events = turnedAway.map(({ sequence, error }) => this.#fail(sequence, error))
    for (const sequence of sequences) {
      const { sharesPromptWith: leaderId } = sequence.request
      if (leaderId !== undefined) sequence.leader = this.#roster.find(leaderId) ?? null
      this.#line.join(sequence, now)
      if (sequence.priority !== 'batch') this.#urgentAt = now
      this.#deadlines.watch(sequence)
      this.#counters.added++
    }
    return events
  }

  /**
   * Sees whether the sequences of a request could be queued if their prompts were as short as these: nobody need read the prompts of a
   * request that is refused anyway. Queues nothing, and pushes nobody out.
   * @throws ServerError `queue_full`
   */
  checkRoom (requests: readonly NewSequence[], now: Millis): void {
    this.#line.makeRoom(requests.map((request) => new Sequence(request, now)), this.#table.freeCount, now)
  }

  /** Takes other limits from now on; what waits and runs is not turned away for them. */
  limit (limits: SchedulingLimits): void {
    this.#line.limit(limits)
    for (const { rhythm } of this.#lanes) rhythm.aimAt(limits.targetItlMs)
  }

  /** Ends a sequence without a word; unknown and ended ones are ignored. Its slot is free for the next plan. */
  abort (id: SequenceId): void { this.#endSilently(id, 'aborted') }

  /**
   * Ends a sequence as finished, on the word of whoever reads its text (a stop text was found): its last token may be read after it lost
   * its slot. No event follows.
   */
  finish (id: SequenceId): void { this.#endSilently(id, 'finished') }

  /** Ends what has waited or run too long. */
  expire (now: Millis): readonly SequenceEvent[] {
    const late = this.#deadlines.passed(now, this.#line.sequences, this.#roster.running)
    return late.map((sequence) => this.#fail(sequence, timeoutError(sequence, this.#line.size, now)))
  }

  /** What the lane does next; null when nothing can run in it now. Its last plan must have been committed. */
  schedule (laneId: LaneId, now: Millis): StepPlan | null {
    const lane = laneOf(this.#lanes, laneId)
    if (lane.inFlight !== null) throw new Error(`Lane ${laneId} is carrying out plan ${lane.inFlight.id}`)
    // Before free slots are given away: what a leader left behind in one is for those that waited for it.
    settleSharedPrefills(this.#roster.running, this.#table)
    const isUrgent = now - this.#urgentAt < urgentForMs
    const preempted = this.#roster.admit(lane, isUrgent ? this.#enough : Infinity, now)
    this.#counters.preempted += preempted
    // Those that waited for one of them wait for another, so that one of them reads for all.
    if (preempted > 0) settleSharedPrefills(this.#roster.running, this.#table)

    const sequences = this.#roster.runningIn(laneId)
    if (!lane.shareThreads(sequences.length === 0 ? null : this.#threadsFor(lane))) return null
    const sets = adapterSetsOf(sequences)
    const adapters = lane.turns.next(sets)
    const turn = sequences.filter((sequence) => sequence.request.adapters.key === adapters.key)
    // Before anything is asked about what is pending: it changes that.
    for (const sequence of turn) mendBrokenPromises(sequence, this.#table)

    const room = roomOf(lane.rhythm, { running: sequences, turn, isUrgent }, now)
    lane.keepStepsOf(sets)
    const chosen = passengers(turn, { mayStreamsWait: sets.size === 1, isUrgent, promptRoom: room.promptTokens, fill: lane.fill })
    const served = new Set(chosen)
    for (const sequence of turn) sequence.noteStep(served.has(sequence), now)
    // Guesses would be passes of their own, which whoever's prompt is read would wait for.
    const mayGuess = turn.every(({ isFlowing }) => isFlowing)
    const { work, spareMs } = this.#workFor(lane, { chosen, room, readingSteps: lane.readingStepsOf(adapters.key), mayGuess }, now)
    const dropped = this.#parking.takeDropped()
    const plan: StepPlan = {
      id: ++this.#planCount,
      lane: laneId,
      threads: planSize({ work }).promptTokens === 0 ? lane.threadCount.threads : lane.threadCount.proven,
      adapters,
      work: this.#parking.withSaves(work, spareMs, lane.rhythm.promptTokenMs),
      ...(dropped.length === 0 ? {} : { dropped }),
      ...lane.takeNews()
    }
    lane.begin(plan, now)
    return plan
  }

  /** Takes in what came of a plan; a rejected step is committed with an error for each of its slots. */
  commit (plan: StepPlan, outcomes: readonly WorkOutcome[], now: Millis): readonly SequenceEvent[] {
    laneOf(this.#lanes, plan.lane).end(plan, outcomes, now)
    this.#counters.steps++
    this.#lastStepAt = now
    this.#line.serviceRate.advance(now)
    const outcomeOf = new Map(outcomes.map((outcome) => [outcome.slot, outcome]))
    const events: SequenceEvent[] = []
    for (const item of plan.work) {
      const sequence = this.#roster.get(item.sequence)
      if (sequence === undefined) throw new Error(`Sequence ${item.sequence} of plan ${plan.id} is not running`)
      const outcome = outcomeOf.get(item.slot) ?? { slot: item.slot, error: new Error('The engine gave no outcome') }
      this.#take(sequence, item, outcome, events)
      // It ended while the plan was being carried out.
      if (sequence.isEnded) this.#roster.free(sequence)
    }
    return events
  }

  /** Sequences without a slot. */
  get waitingCount (): number { return this.#line.size }

  /** Whether a lane has work that it can do as soon as the step of another one ends. */
  get isLaneWaiting (): boolean { return this.#lanes.some(({ isWaitingForThreads }) => isWaitingForThreads) }

  snapshot (): SchedulerSnapshot {
    return {
      ...this.#counters,
      ...this.#parking.snapshot(),
      waiting: this.#line.size,
      displaced: this.#line.displacedCount,
      running: this.#roster.size,
      lastStepAt: this.#lastStepAt,
      contextSize: this.#config.contextSize,
      adapterSwitches: this.#lanes.reduce((sum, { turns }) => sum + turns.switches, 0),
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

  /**
   * Decode first: streams that flow keep flowing. Then prompts, as far as the budget goes; and no further than streams, those of other
   * adapter sets too, can wait for their next token. Batch work can wait for others' prompts; its own are read in shorter pieces while
   * others may come at any moment, who would have to wait for the end of the step.
   * @returns the work, and how much longer streams can wait for what else is done in the step.
   */
  #workFor (lane: Lane, { chosen, room: { spareMs: roomMs, ...room }, readingSteps, mayGuess }: StepRequest, now: Millis): { readonly work: readonly SlotWork[], readonly spareMs: Millis } {
    const guesses = mayGuess && !lane.threadCount.isTrying ? lane.speculation?.guess(chosen) ?? noneAtAll : noneAtAll
    const work: SlotWork[] = []
    let budget = this.#config.stepTokens
    let spareMs = roomMs
    let isRestoring = false
    // The first token of a piece beside decodes goes along with them, in a pass before the piece's own.
    const hasDecodes = chosen.some((sequence) => !isReading(sequence))
    /** @param most tokens of the budget, for it */
    const include = (sequence: Sequence, most: number): void => {
      const restoreMs = this.#parking.restoreMs(sequence)
      // A cache cannot be restored in pieces: the first one is, however long it takes.
      if (budget === 0 || most <= 0 || (isRestoring && restoreMs > spareMs)) return
      spareMs -= restoreMs
      isRestoring ||= sequence.restore !== null
      if (!sequence.wasPlanned) this.#start(sequence, now)
      // A rest that takes hardly longer is not left for a step of its own.
      const isNearlyAll = sequence.pending <= most * nearlyAll
      const guess = guesses.get(sequence) ?? noGuess
      const tokens = isNearlyAll || most > budget ? budget : hasDecodes ? most : pieceOf(sequence.pending, most)
      const item = slotWork(sequence, tokens, guess)
      sequence.predictedGuesses = guess.predicted
      sequence.isPlanned = true
      budget -= plannedTokens(item)
      work.push(item)
    }
    for (const sequence of chosen) if (!isReading(sequence)) include(sequence, Infinity)
    const afterDecodes = budget
    const readers = new Set<Sequence>()
    for (const sequence of readingOrder(chosen.filter(isReading), readingSteps, this.#admission)) {
      const reader = readerFor(sequence)
      if (readers.has(reader) || !isReading(reader)) continue
      const read = afterDecodes - budget
      // Whoever is read first would wait for this one too.
      if (!sequence.isBatchWork && read > 0 && read + reader.pending > room.sharedTokens) continue
      readers.add(reader)
      include(reader, (sequence.isBatchWork ? room.batchTokens : room.promptTokens) - read)
    }
    return { work, spareMs }
  }

  /**
   * How many sequences are enough for all lanes: so many may have slots while some of them are batch work and others may come at any
   * moment, who would wait for the end of longer steps.
   */
  get #enough (): number { return this.#lanes.reduce((sum, { fill }) => sum + fill.enough, 0) }

  /** How many threads its next step may have; 0 while the steps of other lanes have all of them. */
  #threadsFor (lane: Lane): number {
    const { threads, lanesAreApart = false } = this.#config
    const sharing = this.#lanes.filter(({ id }) => lanesAreApart || this.#table.ofLane(id).some(({ holder }) => holder !== null))
    const taken = this.#lanes.reduce((sum, { inFlight }) => sum + (inFlight?.threads ?? 0), 0)
    return threadShare(threads, taken, sharing.map(({ id }) => id), lane.id)
  }

  /** It is served for the first time. */
  #start (sequence: Sequence, now: Millis): void {
    sequence.wasPlanned = true
    sequence.startedAt = now
    this.#admission.adjust(sequence, sequence.pending - sequence.paidTokens)
    sequence.paidTokens = sequence.pending
    this.#counters.prefixQueriedTokens += sequence.promptLength
  }

  #take (sequence: Sequence, item: SlotWork, outcome: WorkOutcome, events: SequenceEvent[]): void {
    const slot = slotOf(sequence)
    sequence.copyFrom = null
    this.#parking.settle(sequence, item, outcome)
    if ('error' in outcome) {
      this.#table.forget(slot)
      sequence.computed = 0
      if (!sequence.isEnded) events.push(this.#fail(sequence, ServerError.from(outcome.error, 'engine_error')))
    } else if ('isCacheLost' in outcome) {
      slot.residentLength = 0
      sequence.computed = 0
      sequence.cachedTokens = 0
    } else {
      this.#takeComputed(sequence, item, outcome, events)
    }
  }

  #takeComputed (sequence: Sequence, item: SlotWork, outcome: ComputedOutcome, events: SequenceEvent[]): void {
    const slot = slotOf(sequence)
    const { guessCount = 0 } = item
    const { token, logprobs, further = [], drafted } = outcome
    // By now it is known that a saved cache was there.
    if (!sequence.isAnnounced) this.#counters.prefixHitTokens += sequence.cachedTokens
    // A right guess is a token like any other. Wrong ones stay in the cache beyond what is counted, until the slot's next plan cuts it.
    const appended = item.tokens.length - guessCount + (sequence.isEnded ? 0 : further.length)
    this.#counters.noteProgress(sequence.advance(item.keep, appended))
    this.#counters.noteGuesses(item, outcome)
    if (item.draft !== undefined) laneOf(this.#lanes, slot.lane).speculation?.noteDraft(sequence, drafted, further.length)
    slot.residentLength = sequence.computed
    if (sequence.isEnded) return
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
    if (token === null) {
      events.push(this.#fail(sequence, new ServerError('engine_error', 'The model drew no token')))
      return
    }
    const accepted = Math.min(sequence.predictedGuesses, further.length)
    const rejected = sequence.predictedGuesses - accepted
    if (rejected > 0) events.push({ type: 'prediction-rejected', id: sequence.id, tokens: rejected })
    const drawn: readonly DrawnToken[] = [{ token, ...(logprobs === undefined ? {} : { logprobs }) }, ...further]
    for (const [index, each] of drawn.entries()) if (!this.#draw(sequence, each, index < accepted, events)) return
  }

  /** @returns whether the sequence goes on. */
  #draw (sequence: Sequence, { token, logprobs }: DrawnToken, isPredicted: boolean, events: SequenceEvent[]): boolean {
    const { maxTokens } = sequence.request
    sequence.tokens.push(token)
    this.#counters.drawnTokens++
    this.#admission.charge(sequence)
    // With `ignoreEos` the engine draws none, unless a grammar is complete and nothing else can follow.
    const isEnd = this.#endTokens.has(token)
    if (!isEnd) {
      events.push({ type: 'token-drawn', id: sequence.id, token, ...(logprobs === undefined ? {} : { logprobs }), ...(isPredicted ? { isPredicted } : {}) })
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
    this.#roster.end(sequence)
    return false
  }

  #endSilently (id: SequenceId, counter: 'aborted' | 'finished'): void {
    const sequence = this.#roster.find(id)
    if (sequence === undefined || sequence.isEnded) return
    this.#counters[counter]++
    this.#roster.end(sequence)
  }

  #fail (sequence: Sequence, error: ServerError): SequenceEvent {
    this.#counters.failed++
    this.#roster.end(sequence)
    return { type: 'sequence-failed', id: sequence.id, error }
  }
}

/** Beside its next token there is more to compute, or a cache to restore. */
const isReading = ({ isDecoding, restore }: Sequence): boolean => !isDecoding || restore !== null

function adapterSetsOf (sequences: readonly Sequence[]): Map<AdapterSetKey, AdapterSet> {
  const sets = new Map<AdapterSetKey, AdapterSet>()
  for (const { request: { adapters } } of sequences) if (!sets.has(adapters.key)) sets.set(adapters.key, adapters)
  return sets
}
