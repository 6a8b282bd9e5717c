import type { LaneId, Millis, SequenceId, SlotId } from '../../src/domain/ids.ts'
import type { StepPlan } from '../../src/scheduler/plan.ts'
import type { SequenceEvent } from '../../src/scheduler/scheduler-types.ts'
import { Histogram } from './histogram.ts'

/** A law of the scheduler that did not hold. */
export class LawViolation extends Error {
  constructor (law: number, message: string) {
    super(`law ${law} is broken: ${message}`)
    this.name = 'LawViolation'
  }
}

/** Who a sequence is one of, for the times that its user feels. */
export type Crowd = 'flood' | 'batch' | 'others'

interface LiveSequence {
  readonly crowd: Crowd
  readonly arrivedAt: Millis
  readonly promptLength: number
  slot: SlotId | null
  lane: LaneId | null
  startedAt: Millis | null
  lastTokenAt: Millis | null
  drawnTokens: number
  readonly mostLeftOut: number
  /** When a token was last drawn for it in its present slot; null when it has yet to get there. */
  lastDraw: LaneSteps | null
}

/** Counts of a lane's steps: of all, and of those with the adapters of the last one. */
interface LaneSteps {
  readonly all: number
  readonly own: number
}

/** A stream is left out of so many steps of its adapter set in a row at most, for the sake of prompts. */
const mostStreamsLeftOut = 4
/** Batch work is left out of whatever reads others' prompts, and of what is made smaller for a trial, but of no more than this in a row. */
const mostBatchLeftOut = 15

/** What becomes of every sequence: law 6, the running half of law 7, and the times that users feel. */
export class Ledger {
  /** Arrival to first plan, arrival to first token, gap between tokens; in milliseconds. */
  readonly queueMs = new Histogram()
  readonly firstTokenMs = new Histogram()
  readonly firstTokenMsOf: Readonly<Record<Crowd, Histogram>> = { flood: new Histogram(), batch: new Histogram(), others: new Histogram() }
  readonly tokenGapMs = new Histogram()
  readonly #live = new Map<SequenceId, LiveSequence>()
  /** By lane, and by lane and adapters. */
  readonly #laneSteps = new Map<LaneId, number>()
  readonly #setSteps = new Map<string, number>()
  readonly #othersTurns: number
  /** Sequences in slots, now. */
  #busySlots = 0

  /** @param othersTurns most steps of a lane between two with the same adapters, while those have work */
  constructor (othersTurns: number) {
    this.#othersTurns = othersTurns
  }

  get busySlots (): number { return this.#busySlots }
  get liveCount (): number { return this.#live.size }

  isLive (id: SequenceId): boolean { return this.#live.has(id) }

  add (id: SequenceId, crowd: Crowd, isBatchWork: boolean, promptLength: number, now: Millis): void {
    if (this.#live.has(id)) throw new LawViolation(6, `${id} was added twice`)
    this.#live.set(id, {
      crowd,
      arrivedAt: now,
      promptLength,
      slot: null,
      lane: null,
      startedAt: null,
      lastTokenAt: null,
      drawnTokens: 0,
      mostLeftOut: isBatchWork ? mostBatchLeftOut : mostStreamsLeftOut,
      lastDraw: null
    })
  }

  plan ({ lane, adapters, work, preempted = [] }: StepPlan, now: Millis): void {
    for (const id of preempted) {
      const sequence = this.#get(id, 'is preempted')
      if (sequence.lane !== lane) throw new LawViolation(3, `${id} is not in lane ${lane}`)
      sequence.slot = null
      sequence.lane = null
      sequence.lastDraw = null
      this.#busySlots--
    }
    const set = `${lane} ${adapters.key}`
    const steps: LaneSteps = { all: (this.#laneSteps.get(lane) ?? 0) + 1, own: (this.#setSteps.get(set) ?? 0) + 1 }
    this.#laneSteps.set(lane, steps.all)
    this.#setSteps.set(set, steps.own)
    for (const { sequence: id, slot, keep, sample } of work) {
      const sequence = this.#get(id, 'is in a plan')
      if (sequence.slot === null) {
        sequence.slot = slot
        sequence.lane = lane
        this.#busySlots++
        if (sequence.startedAt === null) this.queueMs.add(now - sequence.arrivedAt)
        sequence.startedAt ??= now
        if (sequence.drawnTokens === 0 && keep >= sequence.promptLength) throw new LawViolation(5, `${id} keeps all of its prompt`)
      } else if (sequence.lastDraw !== null) {
        this.#checkWait(sequence, sequence.lastDraw, steps, id)
      }
      if (sample !== undefined) sequence.lastDraw = steps
    }
  }

  event (event: SequenceEvent, now: Millis): void {
    const sequence = this.#get(event.id, event.type)
    switch (event.type) {
      case 'sequence-started': {
        if (sequence.slot !== event.slot) throw new LawViolation(3, `${event.id} is not in slot ${event.slot}`)
        break
      }
      case 'token-drawn': {
        this.#token(sequence, now)
        break
      }
      // Guesses that were wrong are no tokens of the answer.
      case 'prediction-rejected': break
      case 'sequence-finished': {
        // The end token is not told, but it is the first sign of life of an empty answer.
        if (event.drawnTokens > sequence.drawnTokens && sequence.lastTokenAt === null) this.#token(sequence, now)
        this.end(event.id)
        break
      }
      case 'sequence-failed': {
        this.end(event.id)
      }
    }
  }

  /** It ends, with or without an event. */
  end (id: SequenceId): void {
    const sequence = this.#get(id, 'ends')
    if (sequence.slot !== null) this.#busySlots--
    this.#live.delete(id)
  }

  /** @throws LawViolation when a sequence has not ended */
  close (): void {
    const [first] = this.#live.keys()
    if (first !== undefined) throw new LawViolation(6, `${first} and ${this.#live.size - 1} others never ended`)
  }

  /**
   * The running half of law 7. A sequence that draws is left out of so many steps of its own adapter set at most, one after the other, and
   * before each of them, and before the one that serves it, others may have their turns.
   */
  #checkWait ({ mostLeftOut }: LiveSequence, lastDraw: LaneSteps, steps: LaneSteps, id: SequenceId): void {
    const leftOut = steps.own - lastDraw.own - 1
    if (leftOut > mostLeftOut) throw new LawViolation(7, `${id} was left out of ${leftOut} steps, the limit is ${mostLeftOut}`)
    const waited = steps.all - lastDraw.all - 1 - leftOut
    const limit = (leftOut + 1) * this.#othersTurns
    if (waited > limit) throw new LawViolation(7, `${id} waited for ${waited} steps of others, the limit is ${limit}`)
  }

  #token (sequence: LiveSequence, now: Millis): void {
    if (sequence.lastTokenAt === null) {
      this.firstTokenMs.add(now - sequence.arrivedAt)
      this.firstTokenMsOf[sequence.crowd].add(now - sequence.arrivedAt)
    } else {
      this.tokenGapMs.add(now - sequence.lastTokenAt)
    }
    sequence.lastTokenAt = now
    sequence.drawnTokens++
  }

  #get (id: SequenceId, what: string): LiveSequence {
    const sequence = this.#live.get(id)
    if (sequence === undefined) throw new LawViolation(6, `${id} has ended or was never added, but: ${what}`)
    return sequence
  }
}
