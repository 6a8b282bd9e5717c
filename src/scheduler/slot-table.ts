import type { AdapterSetKey } from '../domain/adapter-set.ts'
import { asLaneId, asSlotId, type LaneId, type SlotId, type Token } from '../domain/ids.ts'
import type { CachedText, ParkedCache } from './parked-caches.ts'
import type { Sequence } from './sequence.ts'

/** A place in a lane that holds one sequence's KV cache, and still holds it after the sequence has ended. */
export interface Slot {
  readonly id: SlotId
  readonly lane: LaneId
  holder: Sequence | null
  /** Tokens in the KV cache once every plan so far is carried out: the first `residentLength` of `resident`. */
  resident: readonly Token[]
  residentLength: number
  /** The adapter set that computed the cache. */
  adaptersKey: AdapterSetKey
  /** Who held it last lost it, and will come back for its cache; null where nobody will. */
  wantedBy: Sequence | null
  /** What the cache holds as long as no plan for the slot's new holder was carried out; null when that is no more than `resident`. */
  overwritten: CachedText | null
  /** Counts up with every release; the smallest is the least recently used. */
  lastUsed: number
}

/** Who holds which slot, and what each slot's cache holds. */
export class SlotTable {
  readonly slots: readonly Slot[]
  readonly #lanes: readonly (readonly Slot[])[]
  #releases = 0
  #admissions = 0

  constructor (laneCount: number, slotsPerLane: number) {
    this.slots = Array.from({ length: laneCount * slotsPerLane }, (_, index): Slot => ({
      id: asSlotId(index),
      lane: asLaneId(Math.floor(index / slotsPerLane)),
      holder: null,
      resident: [],
      residentLength: 0,
      adaptersKey: '' as AdapterSetKey,
      wantedBy: null,
      overwritten: null,
      lastUsed: 0
    }))
    this.#lanes = Array.from({ length: laneCount }, (_, lane) =>
      this.slots.slice(lane * slotsPerLane, (lane + 1) * slotsPerLane))
  }

  get laneCount (): number { return this.#lanes.length }

  ofLane (lane: LaneId): readonly Slot[] {
    const slots = this.#lanes[lane]
    if (slots === undefined) throw new RangeError(`Lane ${lane} does not exist; there are ${this.#lanes.length}`)
    return slots
  }

  /** Idle slots over all lanes. */
  get freeCount (): number {
    let count = 0
    for (const slot of this.slots) if (slot.holder === null) count++
    return count
  }

  /**
   * Gives a slot to a sequence. Of its cache the first `keep` tokens stay, or are about to be copied from another slot or restored:
   * a copied cache is nobody's source before the plan that copies it is committed.
   */
  take (slot: Slot, sequence: Sequence, keep: number, copyFrom: Slot | null, restore: ParkedCache | null = null): void {
    const { resident, residentLength, adaptersKey, wantedBy } = slot
    slot.overwritten ??= { tokens: resident, length: residentLength, adaptersKey, wantedBy }
    slot.wantedBy = null
    slot.holder = sequence
    slot.resident = sequence.tokens
    slot.residentLength = copyFrom === null && restore === null ? keep : 0
    slot.adaptersKey = sequence.request.adapters.key
    sequence.slot = slot
    sequence.lane = slot.lane
    sequence.copyFrom = copyFrom
    sequence.restore = restore
    sequence.computed = keep
    sequence.cachedTokens = keep
    sequence.awaits = null
    sequence.admission = ++this.#admissions
  }

  /** Lets a sequence that was in no plan yet begin with a copy of another slot's first `keep` tokens, or with nothing. */
  copy (sequence: Sequence, source: Slot | null, keep: number): void {
    if (sequence.slot !== null) sequence.slot.residentLength = 0
    sequence.copyFrom = source
    sequence.computed = keep
    sequence.cachedTokens = keep
  }

  /** Moves a sequence that was in no plan yet to an idle slot, whose first `keep` tokens it begins with; its old one is idle then. */
  move (sequence: Sequence, slot: Slot, keep: number): void {
    const { admission } = sequence
    if (sequence.slot !== null) this.release(sequence.slot)
    this.take(slot, sequence, keep, null)
    sequence.admission = admission
  }

  /** Frees a slot; what its cache holds stays for whoever can use it. */
  release (slot: Slot): void {
    slot.holder = null
    slot.lastUsed = ++this.#releases
  }

  /** One that lost its slot has ended or has another: it does not come back for what its old one holds or held. */
  unwant (sequence: Sequence): void {
    for (const slot of this.slots) {
      if (slot.wantedBy === sequence) slot.wantedBy = null
      if (slot.overwritten?.wantedBy === sequence) slot.overwritten = { ...slot.overwritten, wantedBy: null }
    }
  }

  /** The slot's cache holds nothing that can be relied on. */
  forget (slot: Slot): void {
    slot.resident = []
    slot.residentLength = 0
    slot.overwritten = null
  }
}

/** Where a sequence is that has a slot. */
export function slotOf (sequence: Sequence): Slot {
  if (sequence.slot === null) throw new Error(`Sequence ${sequence.id} has no slot`)
  return sequence.slot
}
