import { asLaneId, type LaneId, type Token } from '../../domain/ids.ts'
import type { Sequence } from '../sequence.ts'
import type { Slot, SlotTable } from '../slot-table.ts'

/** Where a sequence goes, and how much of its prompt is in a cache already. */
export interface Placement {
  readonly slot: Slot
  /** Tokens of the slot's own cache, or of `copyFrom`'s, that are the start of the sequence. */
  readonly keep: number
  readonly copyFrom: Slot | null
}

/**
 * A copy moves the whole cache of a slot (llama.cpp copies between streams by buffer), so a handful of shared tokens,
 * such as the opening of every chat template, is cheaper computed again.
 */
const MIN_COPIED_TOKENS = 32

/** A lane with one more busy slot is worth it only if its caches spare computing this many more tokens. */
const TOKENS_PER_BUSY_SLOT = 64

/**
 * Longest-prefix placement: the lane whose caches (idle and running slots) spare the most prompt tokens, less what its
 * load costs; in it the matching slot itself when it is idle and most of its cache stays in use, else the idle slot whose
 * cache is missed least, with a copy of the match.
 *
 * Busy slots are kept next to each other where that costs no more than a copy: llama.cpp decodes neighbouring slots in one
 * pass and starts another at every gap (4 slots with gaps took 1.5 to 2 times as long as 4 neighbours).
 *
 * The last token is never taken from a cache: its logits are needed. Null when no slot is free.
 */
export function place (sequence: Sequence, table: SlotTable): Placement | null {
  let best: Placement | null = null
  let bestScore = -Infinity
  for (let index = 0; index < table.laneCount; index++) {
    const lane = asLaneId(index)
    const placement = placeInLane(sequence, table, lane)
    if (placement === null) continue
    const busySlots = table.ofLane(lane).reduce((count, slot) => count + (slot.holder === null ? 0 : 1), 0)
    const score = placement.keep - busySlots * TOKENS_PER_BUSY_SLOT
    if (score > bestScore) {
      best = placement
      bestScore = score
    }
  }
  return best
}

function placeInLane (sequence: Sequence, table: SlotTable, lane: LaneId): Placement | null {
  const slots = table.ofLane(lane)
  const limit = sequence.tokens.length - 1
  let victim: Slot | null = null
  let victimRuns = Infinity
  let idleMatch: Slot | null = null
  let idleKeep = 0
  let idleRuns = Infinity
  let source: Slot | null = null
  let sourceKeep = 0
  for (const [index, slot] of slots.entries()) {
    const keep = matchLength(sequence, slot, limit)
    if (keep > sourceKeep) {
      source = slot
      sourceKeep = keep
    }
    if (slot.holder !== null) continue
    const runs = addedRuns(slots, index)
    if (keep > idleKeep) {
      idleMatch = slot
      idleKeep = keep
      idleRuns = runs
    }
    if (victim === null || runs < victimRuns || (runs === victimRuns && isMissedLess(slot, victim))) {
      victim = slot
      victimRuns = runs
    }
  }
  if (victim === null) return null

  const isCopyWorthIt = source !== null && source !== victim && sourceKeep >= MIN_COPIED_TOKENS
  const isMostlyKept = idleMatch !== null && idleKeep * 2 >= idleMatch.residentLength
  const isCopyBetter = isCopyWorthIt && (sourceKeep - idleKeep >= MIN_COPIED_TOKENS || victimRuns < idleRuns)
  if (idleMatch !== null && isMostlyKept && !isCopyBetter) {
    return { slot: idleMatch, keep: idleKeep, copyFrom: null }
  }
  if (isCopyWorthIt) return { slot: victim, keep: sourceKeep, copyFrom: source }
  return { slot: victim, keep: matchLength(sequence, victim, limit), copyFrom: null }
}

/** How many of the slot's cached tokens are the start of the sequence, computed under the same adapters. */
function matchLength (sequence: Sequence, slot: Slot, limit: number): number {
  if (slot.adaptersKey !== sequence.request.adapters.key) return 0
  return commonPrefix(sequence.tokens, slot.resident, Math.min(limit, slot.residentLength))
}

/** Whether a slot still holds what a copy from it was planned for. */
export function holdsPrefix (slot: Slot, sequence: Sequence, length: number): boolean {
  return matchLength(sequence, slot, length) === length
}

/** How many more runs of neighbouring busy slots there are with this one busy too: 1, 0, or -1 when it fills a gap. */
function addedRuns (slots: readonly Slot[], index: number): number {
  const isBusy = (neighbour: Slot | undefined): number => neighbour !== undefined && neighbour.holder !== null ? 1 : 0
  return 1 - isBusy(slots[index - 1]) - isBusy(slots[index + 1])
}

/** Empty caches go first, then the least recently used. */
function isMissedLess (slot: Slot, than: Slot): boolean {
  const isEmpty = slot.residentLength === 0
  const isThanEmpty = than.residentLength === 0
  if (isEmpty !== isThanEmpty) return isEmpty
  return slot.lastUsed < than.lastUsed
}

/** How many of the first `limit` tokens are equal. */
export function commonPrefix (a: readonly Token[], b: readonly Token[], limit: number): number {
  const end = Math.min(limit, a.length, b.length)
  let length = 0
  while (length < end && a[length] === b[length]) length++
  return length
}
