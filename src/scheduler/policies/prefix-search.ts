import type { Token } from '../../domain/ids.ts'
import type { CachedText } from '../parked-caches.ts'
import type { Sequence } from '../sequence.ts'
import type { Slot } from '../slot-table.ts'

/** The start of a sequence that another one, the leader, computes now. */
export interface SharedPrefill {
  readonly leader: Sequence
  /** Where it does, and its `admission`: in another slot, or in this one later, it may compute something else. */
  readonly slot: Slot
  readonly admission: number
  /** Tokens to wait for. */
  readonly length: number
}

/** Where the start of a sequence is, in one lane. */
export interface PrefixSources {
  /** The slot that holds most of it now. */
  readonly source: Slot | null
  readonly keep: number
  /** The idle slot that holds most of it now. */
  readonly idleSource: Slot | null
  readonly idleKeep: number
  /** More of it that is being computed; null when waiting for that is not worth it. */
  readonly awaits: SharedPrefill | null
}

/**
 * A copy moves the whole cache of a slot (llama.cpp copies between streams by buffer), so a handful of shared tokens,
 * such as the opening of every chat template, is cheaper computed again.
 */
export const MIN_COPIED_TOKENS = 32

/**
 * A prefix that is being computed is worth a wait, of a step at least, only if it spares this many tokens more than what is there.
 * Where that is to be copied anyway, the longer copy costs nothing more than the wait.
 */
const MIN_AWAITED_TOKENS = MIN_COPIED_TOKENS + 64
const MIN_AWAITED_TOKENS_BEYOND_COPY = 32

/**
 * Looks through the caches of a lane, and what is being computed into them, for the start of a sequence. The last token is never
 * taken from a cache: its logits are needed.
 * @param before it waits for nobody who was given a slot later than this, so that nobody waits in a circle
 */
export function findPrefix (sequence: Sequence, slots: readonly Slot[], before = Infinity): PrefixSources {
  const limit = sequence.tokens.length - 1
  let source: Slot | null = null
  let keep = 0
  let idleSource: Slot | null = null
  let idleKeep = 0
  let awaits: SharedPrefill | null = null
  let awaitedScore = 0
  for (const slot of slots) {
    const { holder, residentLength } = slot
    if (holder === sequence || slot.adaptersKey !== sequence.request.adapters.key) continue
    const isReading = holder !== null && !holder.isEnded && holder.admission < before
    // Who waits itself is worth waiting for only if it shares that much more than whom it waits for.
    const handicap = isReading && holder.awaits !== null ? MIN_AWAITED_TOKENS : 0
    const surpassed = holder === null ? idleKeep : keep
    const least = Math.min(residentLength > surpassed ? surpassed : Infinity, isReading ? awaitedScore + handicap : Infinity)
    const length = matchBeyond(sequence.tokens, slot.resident, Math.min(limit, isReading ? Infinity : residentLength), least)
    const held = Math.min(length, residentLength)
    if (held > keep) {
      source = slot
      keep = held
    }
    if (holder === null && held > idleKeep) {
      idleSource = slot
      idleKeep = held
    }
    if (isReading && length - handicap > awaitedScore) {
      awaits = { leader: holder, slot, admission: holder.admission, length }
      awaitedScore = length - handicap
    }
  }
  const leastGain = keep >= MIN_COPIED_TOKENS ? MIN_AWAITED_TOKENS_BEYOND_COPY : MIN_AWAITED_TOKENS
  if (awaits !== null && awaits.length - keep < leastGain) awaits = null
  return { source, keep, idleSource, idleKeep, awaits }
}

/** How many of the slot's cached tokens are the start of the sequence, computed under the same adapters. */
export function matchLength (sequence: Sequence, slot: Slot, limit: number): number {
  if (slot.adaptersKey !== sequence.request.adapters.key) return 0
  return commonPrefix(sequence.tokens, slot.resident, Math.min(limit, slot.residentLength))
}

/** Whether a slot still holds what a copy from it was planned for. */
export function holdsPrefix (slot: Slot, sequence: Sequence, length: number): boolean {
  return matchLength(sequence, slot, length) === length
}

/** How much of the start of a text is in one of the slots, or is about to be copied into one. */
export function mostHeld (text: CachedText, slots: readonly Slot[]): number {
  let most = 0
  for (const { holder, resident, residentLength, adaptersKey } of slots) {
    if (adaptersKey !== text.adaptersKey) continue
    const held = holder?.copyFrom == null ? residentLength : holder.computed
    most = Math.max(most, commonPrefix(text.tokens, resident, Math.min(text.length, held)))
  }
  return most
}

/** Whether going on after so many tokens of an idle slot's cache wastes little of it. */
export function isMostlyKept (slot: Slot, keep: number): boolean {
  return keep * 2 >= slot.residentLength
}

/** How many of the first `limit` tokens are equal. */
export function commonPrefix (a: readonly Token[], b: readonly Token[], limit: number): number {
  const end = Math.min(limit, a.length, b.length)
  let length = 0
  while (length < end && a[length] === b[length]) length++
  return length
}

/**
 * The same, if it is more than `least`; else 0. In a crowd of prompts that begin alike most differ at the same token: looking there
 * first spares comparing the whole beginning with each of them.
 */
function matchBeyond (a: readonly Token[], b: readonly Token[], limit: number, least: number): number {
  if (least >= Math.min(limit, a.length, b.length) || a[least] !== b[least]) return 0
  const length = commonPrefix(a, b, limit)
  return length > least ? length : 0
}
