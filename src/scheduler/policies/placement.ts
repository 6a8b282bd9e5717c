import type { AdapterSetKey } from '../../domain/adapter-set.ts'
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

export interface PlaceOptions {
  /** The saved cache that holds most of the sequence. */
  readonly parked: { readonly cache: ParkedCache, readonly keep: number } | null
  /** See `SchedulerConfig.lanesAreApart`. */
  readonly lanesAreApart: boolean
}

/** Restoring a saved cache evicts another one and takes a moment, so it must spare this many tokens more than a copy or a wait. */
const MIN_RESTORED_TOKENS = 96
/** The same for what was saved for the sequence itself when it lost its slot. */
const MIN_RESUMED_TOKENS = 24

/*
 * What speaks for a lane, in prompt tokens whose computing it is worth.
 */
/** It runs the sequence's adapter set already: its steps serve one sequence more at hardly any cost. */
const RUNS_SAME_SET = 256
/** Among such lanes the fuller one, so that others come to an end and leave it their threads; for each sequence. */
const PER_COMPANION = 8
/** The same where lanes do not take each other's threads: a full one is slower. */
const PER_COMPANION_APART = -64
/** It runs other adapter sets, which then take turns: for each of those, and for each of their sequences. */
const PER_OTHER_SET = -128
const PER_OTHER_SEQUENCE = -128
/** A prompt of more than so many tokens holds up streams, which get their next tokens in between its pieces: for each token beyond. */
const HARMLESS_PROMPT_TOKENS = 512
const PER_TOKEN_BEFORE_STREAMS = -1

/**
 * Longest-prefix placement: the lane whose caches (of idle and running slots, with what running ones compute now) spare the most
 * prompt tokens; but a lane that runs the same adapter set gets something on top, since a step for one more sequence takes hardly longer,
 * and other adapter sets count against it, as do streams that a long prompt would hold up. So what is of one kind is in one lane and has
 * all threads, each adapter set has a lane of its own as long as there are enough, and rare ones share one. In the lane it is the matching slot itself when it is idle and most of its cache stays in use,
 * else the idle slot whose cache is missed least, with a copy of the match.
 *
 * Busy slots are kept next to each other where that costs no more than a copy: llama.cpp decodes neighbouring slots in one
 * pass and starts another at every gap (4 slots with gaps took 1.5 to 2 times as long as 4 neighbours).
 *
 * Null when no slot is free.
 */
export function place (sequence: Sequence, table: SlotTable, { parked, lanesAreApart }: PlaceOptions = { parked: null, lanesAreApart: false }): Placement | null {
  let best: Placement | null = null
  let bestScore = -Infinity
  for (let index = 0; index < table.laneCount; index++) {
    const slots = table.ofLane(asLaneId(index))
    const placement = placeInLane(sequence, slots, parked)
    if (placement === null) continue
    const kept = placement.awaits?.length ?? placement.keep
    const score = kept + (table.laneCount === 1 ? 0 : companyScore(sequence, sequence.tokens.length - kept, slots, lanesAreApart))
    if (score > bestScore) {
      best = placement
      bestScore = score
    }
  }
  return best
}

/** What a lane's present sequences mean to one more, with so many tokens to compute. */
function companyScore (sequence: Sequence, toCompute: number, slots: readonly Slot[], lanesAreApart: boolean): number {
  const { key } = sequence.request.adapters
  const otherSets = new Set<AdapterSetKey>()
  let companions = 0
  let others = 0
  let isStreaming = false
  for (const { holder } of slots) {
    if (holder === null) continue
    if (holder.request.adapters.key === key) {
      companions++
    } else {
      others++
      otherSets.add(holder.request.adapters.key)
    }
    isStreaming ||= holder.drawnTokens > 0
  }
  const together = companions === 0 ? 0 : RUNS_SAME_SET + companions * PER_COMPANION
  return (lanesAreApart ? companions * PER_COMPANION_APART : together) +
    otherSets.size * PER_OTHER_SET + others * PER_OTHER_SEQUENCE +
    (isStreaming ? Math.max(0, toCompute - HARMLESS_PROMPT_TOKENS) * PER_TOKEN_BEFORE_STREAMS : 0)
}

function placeInLane (sequence: Sequence, slots: readonly Slot[], parked: PlaceOptions['parked']): Placement | null {
  const victim = chooseVictim(slots)
  if (victim === null) return null
  const { source, keep, idleSource, idleKeep, awaits } = findPrefix(sequence, slots)
  const least = sequence.preemptions > 0 ? MIN_RESUMED_TOKENS : MIN_RESTORED_TOKENS
  if (parked !== null && parked.keep - Math.max(keep, awaits?.length ?? 0) >= least) {
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
