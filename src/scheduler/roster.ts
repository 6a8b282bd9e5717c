import type { LaneId, Millis, SequenceId } from '../domain/ids.ts'
import type { CacheParking } from './cache-parking.ts'
import { laneOf, type Lane } from './lane.ts'
import type { AdmissionPolicy } from './policies/admission.ts'
import { nextFitting } from './policies/gathering.ts'
import { place } from './policies/placement.ts'
import type { Sequence } from './sequence.ts'
import { slotOf, type SlotTable } from './slot-table.ts'
import type { WaitingLine } from './waiting-line.ts'

export interface RosterParts {
  readonly line: WaitingLine
  readonly table: SlotTable
  readonly admission: AdmissionPolicy
  readonly parking: CacheParking
  /** By their ids. */
  readonly lanes: readonly Lane[]
  /** See `SchedulerConfig.lanesAreApart`. */
  readonly lanesAreApart: boolean
}

/** Who has a slot: gives slots to those that wait, takes them from those that have to go or have ended. */
export class Roster {
  readonly #parts: RosterParts
  /** In order of admission. */
  readonly #running = new Map<SequenceId, Sequence>()

  constructor (parts: RosterParts) {
    this.#parts = parts
  }

  get size (): number { return this.#running.size }

  /** In order of admission. */
  get running (): Iterable<Sequence> { return this.#running.values() }

  runningIn (lane: LaneId): Sequence[] {
    const sequences: Sequence[] = []
    for (const sequence of this.#running.values()) if (sequence.slot?.lane === lane) sequences.push(sequence)
    return sequences
  }

  /** One that has a slot. */
  get (id: SequenceId): Sequence | undefined { return this.#running.get(id) }

  /** One that waits or has a slot. */
  find (id: SequenceId): Sequence | undefined { return this.#parts.line.get(id) ?? this.#running.get(id) }

  /**
   * Gives slots to those who may have them: free ones, of whichever lane; then, in this lane, which carries out no plan, such as
   * others have to give up.
   * @param mostWithBatchWork so many sequences may have slots as long as some of them are batch work, which gives up what is beyond
   * @returns how many had to be given up.
   */
  admit (lane: Lane, mostWithBatchWork: number, now: Millis): number {
    const { line, table, admission } = this.#parts
    const passed = new Set<Sequence>()
    let preempted = 0
    const preempt = (victim: Sequence | null): boolean => {
      if (victim === null) return false
      this.#preempt(victim, now)
      preempted++
      return true
    }
    while (this.size > mostWithBatchWork && preempt(admission.expendable(this.runningIn(lane.id)))) { /* One after the other. */ }
    if (line.size === 0) return preempted
    while (table.freeCount > passed.size) {
      const isCrowded = this.size >= mostWithBatchWork
      const sequence = nextFitting(admission, table, passed, now, isCrowded)
      if (sequence === null) return preempted
      // A choice that waits for its request's first choice to prefill the prompt keeps a slot, so that nobody overtakes it.
      if (this.#isWaitingForPrompt(sequence)) {
        passed.add(sequence)
        continue
      }
      if (isCrowded) preempt(admission.expendable(this.runningIn(lane.id)))
      this.#place(sequence, now)
    }
    while (table.freeCount === 0) {
      const takeover = admission.takeover(passed, this.runningIn(lane.id))
      if (takeover === null) break
      if (this.#isWaitingForPrompt(takeover.sequence)) {
        passed.add(takeover.sequence)
        continue
      }
      preempt(takeover.victim)
      this.#place(takeover.sequence, now)
    }
    return preempted
  }

  /** It has ended, and neither waits nor has a slot any more; but one that a plan serves now keeps its slot until `free`. */
  end (sequence: Sequence): void {
    const { line, table, lanes } = this.#parts
    if (line.has(sequence.id)) {
      if (sequence.wasAdmitted) table.unwant(sequence)
      this.#refund(sequence)
      line.leave(sequence)
      // Where it was last, its preemption has been told by then.
      if (sequence.wasPlanned && sequence.lane !== null) laneOf(lanes, sequence.lane).noteReleased(sequence.id)
    } else if (laneOf(lanes, slotOf(sequence).lane).isServing(sequence)) {
      sequence.isEnded = true
    } else {
      this.free(sequence)
    }
  }

  /** Takes its slot from one that has ended. */
  free (sequence: Sequence): void {
    const { line, table, admission, parking, lanes } = this.#parts
    const slot = slotOf(sequence)
    parking.forgo(sequence)
    this.#running.delete(sequence.id)
    this.#refund(sequence)
    admission.release(sequence)
    line.serviceRate.noteLeft()
    table.release(slot)
    if (sequence.wasPlanned) laneOf(lanes, slot.lane).noteReleased(sequence.id)
  }

  /** Its tenant does not pay for what of its prompt was not computed. */
  #refund (sequence: Sequence): void {
    const { paidTokens, promptLength, furthest } = sequence
    const unused = Math.min(paidTokens, promptLength - furthest)
    if (unused > 0) this.#parts.admission.adjust(sequence, -unused)
  }

  /** Gives it one of the free slots. */
  #place (sequence: Sequence, now: Millis): void {
    const { line, table, admission, parking, lanes, lanesAreApart } = this.#parts
    const promptTokenMs = Math.max(...lanes.map(({ rhythm }) => rhythm.promptTokenMs))
    const placement = place(sequence, table, { parked: parking.find(sequence, promptTokenMs), lanesAreApart })
    if (placement === null) throw new Error(`There is no free slot for sequence ${sequence.id}`)
    table.take(placement.slot, sequence, placement.keep, placement.copyFrom, placement.restore)
    parking.use(sequence)
    if (sequence.wasAdmitted) table.unwant(sequence)
    sequence.awaits = placement.awaits
    line.leave(sequence)
    // Nobody pays twice.
    const toPay = sequence.wasAdmitted ? 0 : sequence.toCompute
    admission.admit(sequence, toPay, now)
    sequence.paidTokens += toPay
    sequence.wasAdmitted = true
    this.#running.set(sequence.id, sequence)
  }

  /** Takes its slot from it. Its tokens are kept, its cache stays in the slot as long as nobody needs the place. */
  #preempt (sequence: Sequence, now: Millis): void {
    const { line, table, admission, parking, lanes } = this.#parts
    const slot = slotOf(sequence)
    this.#running.delete(sequence.id)
    admission.release(sequence)
    table.release(slot)
    slot.wantedBy = sequence
    parking.forgo(sequence)
    if (sequence.isPlanned) laneOf(lanes, slot.lane).notePreempted(sequence.id)
    sequence.loseSlot()
    line.join(sequence, now)
  }

  #isWaitingForPrompt (sequence: Sequence): boolean {
    const leaderId = sequence.request.sharesPromptWith
    if (leaderId === undefined) return false
    // Of those that come back, the one that lost its slot last goes first: it waits for none behind it.
    if (this.#parts.line.has(leaderId)) return !sequence.wasAdmitted
    const leader = this.#running.get(leaderId)
    return leader !== undefined && !leader.isPromptComputed
  }
}
