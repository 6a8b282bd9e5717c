import { findPrefix, holdsPrefix, isMostlyKept, MIN_COPIED_TOKENS, type SharedPrefill } from './policies/prefix-search.ts'
import type { Sequence } from './sequence.ts'
import { slotOf, type SlotTable } from './slot-table.ts'

/** Whether the leader is still at it. */
const isUnderWay = ({ leader, slot, admission }: SharedPrefill): boolean =>
  slot.holder === leader && leader.admission === admission

/**
 * Who reads for a sequence: itself, or the one that it waits for. Whoever waits lends its turn, so that its prompt is read no later
 * than if it read alone, whatever its leader's own turn is. Leaders have had their slots longer, so this comes to an end.
 */
export function readerFor (sequence: Sequence): Sequence {
  let reader = sequence
  while (reader.awaits !== null) reader = reader.awaits.leader
  return reader
}

/**
 * Sees to those that wait for a shared prefill: what is there is copied; who lost its leader takes what that has left behind, waits
 * for another, or begins.
 * @param running in order of admission
 */
export function settleSharedPrefills (running: Iterable<Sequence>, table: SlotTable): void {
  for (const sequence of running) {
    const { awaits } = sequence
    if (awaits === null) continue
    if (!isUnderWay(awaits)) {
      startOver(sequence, table)
    } else if (awaits.slot.residentLength >= awaits.length) {
      sequence.awaits = null
      table.copy(sequence, awaits.slot, awaits.length)
    }
  }
}

function startOver (sequence: Sequence, table: SlotTable): void {
  const { computed, admission } = sequence
  const { source, keep, awaits } = findPrefix(sequence, table.ofLane(slotOf(sequence).lane), admission)
  sequence.awaits = awaits
  if (awaits !== null || source === null || keep - computed < MIN_COPIED_TOKENS) return
  // An idle slot may be somebody else's before the copy is made, so it is better to be there.
  if (source.holder === null && isMostlyKept(source, keep)) table.move(sequence, source, keep)
  else table.copy(sequence, source, keep)
}

/**
 * Before a sequence is planned: what it was to begin with may be gone since, or some of it. The slot to copy from may have been given
 * away and overwritten, the leader may have lost its slot.
 */
export function mendBrokenPromises (sequence: Sequence, table: SlotTable): void {
  const { slot, awaits, copyFrom } = sequence
  if (awaits !== null && !isUnderWay(awaits)) sequence.awaits = null
  if (slot === null || copyFrom === null || holdsPrefix(copyFrom, sequence, sequence.computed)) return
  const { source, keep } = findPrefix(sequence, table.ofLane(slot.lane), 0)
  if (keep >= MIN_COPIED_TOKENS) table.copy(sequence, source, keep)
  else table.copy(sequence, null, 0)
}
