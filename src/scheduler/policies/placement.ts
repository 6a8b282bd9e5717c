import { asLaneId } from '../../domain/ids.ts'
import type { Sequence } from '../sequence.ts'
import type { ParkedCache } from '../parked-caches.ts'
import type { Slot, SlotTable } from '../slot-table.ts'
import { findPrefix, isMostlyKept, matchLength, MIN_COPIED_TOKENS, type SharedPrefill } from './prefix-search.ts'

/** Where a sequence goes, and how much of its prompt is in a cache already. */
export interface Placement {
  readonly slot: Slot
  /** Tokens of the slot's own cache, or of `copyFrom`'s, that are the start of the sequence. */
  readonly keep: number
  readonly copyFrom: Slot | null
  /** The saved cache whose first `keep` tokens it begins with. */
  readonly restore: ParkedCache | null
  /** What it waits for in its slot, to copy it. */
  readonly awaits: SharedPrefill | null
}

/** Restoring a saved cache evicts another one and takes a moment, so it must spare this many tokens more than a copy or a wait. */
const MIN_RESTORED_TOKENS = 96

/** A lane with one more busy slot is worth it only if its caches spare computing this many more tokens. */
const TOKENS_PER_BUSY_SLOT = 64

/**
 * Longest-prefix placement: the lane whose caches (of idle and running slots, with what running ones compute now) spare the most
 * prompt tokens, less what its load costs; in it the matching slot itself when it is idle and most of its cache stays in use,
 * else the idle slot whose cache is missed least, with a copy of the match.
 *
 * Busy slots are kept next to each other where that costs no more than a copy: llama.cpp decodes neighbouring slots in one
 * pass and starts another at every gap (4 slots with gaps took 1.5 to 2 times as long as 4 neighbours).
 *
 * Null when no slot is free.
 * @param parked the saved cache that holds most of the sequence
 */
export function place (
  sequence: Sequence, table: SlotTable, parked: { readonly cache: ParkedCache, readonly keep: number } | null = null
): Placement | null {
  let best: Placement | null = null
  let bestScore = -Infinity
  for (let index = 0; index < table.laneCount; index++) {
    const slots = table.ofLane(asLaneId(index))
    const placement = placeInLane(sequence, slots, parked)
    if (placement === null) continue
    const busySlots = slots.reduce((count, slot) => count + (slot.holder === null ? 0 : 1), 0)
    const score = (placement.awaits?.length ?? placement.keep) - busySlots * TOKENS_PER_BUSY_SLOT
    if (score > bestScore) {
      best = placement
      bestScore = score
    }
  }
  return best
}

function placeInLane (sequence: Sequence, slots: readonly Slot[], parked: Parameters<typeof place>[2]): Placement | null {
  const victim = chooseVictim(slots)
  if (victim === null) return null
  const { source, keep, idleSource, idleKeep, awaits } = findPrefix(sequence, slots)
  if (parked != null && parked.keep - Math.max(keep, awaits?.length ?? 0) >= MIN_RESTORED_TOKENS) {
    return { slot: victim, keep: parked.keep, copyFrom: null, restore: parked.cache, awaits: null }
  }
  if (awaits === null) {
    const isCopyWorthIt = source !== null && source !== victim && keep >= MIN_COPIED_TOKENS
    if (idleSource !== null && isMostlyKept(idleSource, idleKeep)) {
      const isCopyBetter = keep - idleKeep >= MIN_COPIED_TOKENS || addedRuns(slots, victim) < addedRuns(slots, idleSource)
      if (!isCopyWorthIt || !isCopyBetter) return { slot: idleSource, keep: idleKeep, copyFrom: null, restore: null, awaits }
    }
    if (isCopyWorthIt) return { slot: victim, keep, copyFrom: source, restore: null, awaits }
  }
  return { slot: victim, keep: matchLength(sequence, victim, sequence.tokens.length - 1), copyFrom: null, restore: null, awaits }
}

/** The idle slot that makes the fewest runs of busy neighbours; among equals the one whose cache is missed least. */
function chooseVictim (slots: readonly Slot[]): Slot | null {
  const copied = new Set(slots.map(({ holder }) => holder?.copyFrom))
  let victim: Slot | null = null
  for (const slot of slots) {
    if (slot.holder !== null) continue
    if (victim === null) {
      victim = slot
      continue
    }
    // Whoever is about to copy a cache would lose it.
    const order = Number(copied.has(slot)) - Number(copied.has(victim)) || addedRuns(slots, slot) - addedRuns(slots, victim)
    if (order < 0 || (order === 0 && isMissedLess(slot, victim))) victim = slot
  }
  return victim
}

/** How many more runs of neighbouring busy slots there are with this one busy too: 1, 0, or -1 when it fills a gap. */
function addedRuns (slots: readonly Slot[], slot: Slot): number {
  const index = slot.id - slots[0]!.id
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
