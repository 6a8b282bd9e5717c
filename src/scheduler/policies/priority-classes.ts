import type { Millis } from '../../domain/ids.ts'
import { priorities, rankOf } from '../../domain/priority.ts'
import type { Sequence } from '../sequence.ts'
import { slotOf } from '../slot-table.ts'
import type { AdmissionPolicy, IsEnough, Takeover } from './admission.ts'
import { FairShare } from './fair-share.ts'

/** So many computed tokens, which are saved or computed again, are hardly more to lose. */
const littleMore = 256

/** A class that waits this long without being given a slot is given the next one. */
export const patienceMs: Millis = 10_000

interface PriorityClass {
  readonly shares: FairShare
  /** Since when it has waited without being given a slot. */
  waitingSince: Millis
  /** Of its sequences in slots, the one whose slot nobody takes. */
  protected: Sequence | null
}

/**
 * Classes of urgency, in each of which tenants have fair shares. A more urgent class goes first, in the line for a slot and in the
 * reading of prompts; and when no slot is free, who is not batch work takes that of batch work which has little to lose.
 *
 * None starves: a class that has waited for {@link patienceMs} is given the next free slot, whoever else waits, and keeps it until the
 * answer is complete; one slot at a time, so that it costs the others no more.
 */
export class PriorityClasses implements AdmissionPolicy {
  /** The most urgent one first. */
  readonly #classes: readonly PriorityClass[] = priorities.map(() => ({ shares: new FairShare(), waitingSince: 0, protected: null }))

  join (sequence: Sequence, now: Millis): void {
    const its = this.#classOf(sequence)
    if (its.shares.waitingCount === 0) its.waitingSince = now
    its.shares.join(sequence)
  }

  leave (sequence: Sequence): void { this.#classOf(sequence).shares.leave(sequence) }

  next (passed: ReadonlySet<Sequence>, now: Millis, isCrowded = false): Sequence | null {
    const overdue = this.#classes.filter((its) => isOverdue(its, now))
    const others = isCrowded ? this.#classes.slice(0, rankOf('batch')) : this.#classes
    for (const { shares } of [...overdue, ...others]) {
      const sequence = shares.waitingCount === 0 ? null : shares.next(passed)
      if (sequence !== null) return sequence
    }
    return null
  }

  mayOvertake (sequence: Sequence, ahead: Sequence): boolean {
    return sequence.priority === ahead.priority && this.#classOf(sequence).shares.mayOvertake(sequence, ahead)
  }

  admit (sequence: Sequence, promptTokens: number, now: Millis): void {
    const its = this.#classOf(sequence)
    if (isOverdue(its, now)) {
      its.protected = sequence
      sequence.isProtected = true
    }
    its.waitingSince = now
    its.shares.admit(sequence, promptTokens)
  }

  adjust (sequence: Sequence, promptTokens: number): void { this.#classOf(sequence).shares.adjust(sequence, promptTokens) }

  charge (sequence: Sequence): void { this.#classOf(sequence).shares.charge(sequence) }

  release (sequence: Sequence): void {
    const its = this.#classOf(sequence)
    if (its.protected === sequence) {
      its.protected = null
      sequence.isProtected = false
    }
    its.shares.release(sequence)
  }

  takeover (passed: ReadonlySet<Sequence>, running: readonly Sequence[]): Takeover | null {
    for (const [rank, { shares }] of this.#classes.entries()) {
      if (shares.waitingCount === 0) continue
      const victim = priorities[rank] === 'batch' ? null : this.expendable(running)
      const sequence = victim === null ? null : shares.next(passed)
      if (victim !== null && sequence !== null) return { sequence, victim }
      const takeover = shares.takeover(passed, running.filter(({ priority, isProtected }) => !isProtected && rankOf(priority) === rank))
      if (takeover !== null) return takeover
    }
    return null
  }

  /**
   * Of batch work that has hardly more to lose than whatever has least, the one in the lowest slot. So streams of others come to be
   * neighbours, and so does what is left of batch work: llama.cpp starts another pass at every gap.
   */
  expendable (running: readonly Sequence[]): Sequence | null {
    const batchWork = running.filter(({ isBatchWork }) => isBatchWork)
    const least = Math.min(...batchWork.map(({ computed }) => computed))
    const losers = batchWork.filter(({ computed }) => computed <= least + littleMore)
    return losers.reduce<Sequence | null>((lowest, sequence) => lowest === null || slotOf(sequence).id < slotOf(lowest).id ? sequence : lowest, null)
  }

  comparePrompts (a: Sequence, b: Sequence): number {
    const difference = rankOf(a.priority) - rankOf(b.priority)
    return difference === 0 ? this.#classOf(a).shares.comparePrompts(a, b) : difference
  }

  /** Less urgent ones are turned away for the newcomers' sake, the least urgent first; then the fair share of their own class decides. */
  makeRoom (newcomers: readonly Sequence[], isEnough: IsEnough): readonly Sequence[] {
    const [first] = newcomers
    if (first === undefined) return []
    const rank = rankOf(first.priority)
    const pushedOut: Sequence[] = []
    const isEnoughWith = (others: readonly Sequence[]): boolean => isEnough([...pushedOut, ...others])
    for (let lower = this.#classes.length - 1; lower > rank && !isEnough(pushedOut); lower--) {
      pushedOut.push(...this.#classes[lower]!.shares.newest(isEnoughWith))
    }
    if (isEnough(pushedOut)) return pushedOut
    const rest = this.#classes[rank]!.shares.makeRoom(newcomers, isEnoughWith)
    return rest.length === 0 ? [] : [...pushedOut, ...rest]
  }

  #classOf ({ priority }: Sequence): PriorityClass { return this.#classes[rankOf(priority)]! }
}

/** Of a class in which somebody waits. */
const isOverdue = (its: PriorityClass, now: Millis): boolean => its.protected === null && now - its.waitingSince >= patienceMs
