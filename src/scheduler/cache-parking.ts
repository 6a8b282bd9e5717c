import type { Millis, ParkId } from '../domain/ids.ts'
import { type ParkedCache, ParkedCaches, type ParkedSnapshot } from './parked-caches.ts'
import type { SlotWork, WorkOutcome } from './plan.ts'
import { mostHeld } from './policies/prefix-search.ts'
import type { Sequence } from './sequence.ts'
import type { SlotTable } from './slot-table.ts'

/** Has caches saved before they are overwritten, and restored where that is faster than computing them again. */
export class CacheParking {
  readonly #table: SlotTable
  readonly #parked: ParkedCaches
  /** What the plans that are being carried out save. */
  readonly #saving = new Map<ParkId, ParkedCache>()

  /** @param budgetBytes 0 saves nothing */
  constructor (budgetBytes: number, table: SlotTable) {
    this.#table = table
    this.#parked = new ParkedCaches(budgetBytes)
  }

  snapshot (): ParkedSnapshot { return this.#parked.snapshot() }

  /** For the next plan to tell the engine; what this says once it does not say again. */
  takeDropped (): readonly ParkId[] { return this.#parked.takeDropped() }

  /**
   * The saved cache that holds most of a sequence, if restoring it takes less time than computing that.
   * @param promptTokenMs what computing a token takes; 0 where that is not known
   */
  find (sequence: Sequence, promptTokenMs: Millis): ReturnType<ParkedCaches['find']> {
    const found = this.#parked.find(sequence)
    if (found === null) return null
    return promptTokenMs > 0 && this.#parked.restoreMs(found.cache.length) > found.keep * promptTokenMs ? null : found
  }

  /** How long its plan takes to restore what it begins with, as far as is known; 0 where that is nothing. */
  restoreMs ({ restore }: Sequence): Millis { return restore === null ? 0 : this.#parked.restoreMs(restore.length) }

  /** It was given a slot, to begin with what it restores there, if anything. */
  use ({ restore }: Sequence): void {
    if (restore !== null) this.#parked.use(restore)
  }

  /** It restores nothing; what it would have is as it was. */
  forgo (sequence: Sequence): void {
    if (sequence.restore !== null) this.#parked.release(sequence.restore, undefined)
    sequence.restore = null
  }

  /**
   * Has the caches saved that the work overwrites, as far as that is worth it and takes no longer than this in all.
   * @param promptTokenMs what computing a token takes; 0 where that is not known
   */
  withSaves (work: readonly SlotWork[], longestMs: Millis, promptTokenMs: Millis): readonly SlotWork[] {
    let leftMs = longestMs
    return work.map((item) => {
      const slot = this.#table.slots[item.slot]!
      const { overwritten } = slot
      slot.overwritten = null
      if (overwritten === null) return item
      const saved = this.#parked.park(overwritten, () => mostHeld(overwritten, this.#table.slots), leftMs, promptTokenMs)
      if (saved === null) return item
      leftMs -= this.#parked.saveMs(saved.length)
      this.#saving.set(saved.id, saved)
      return { ...item, park: saved.id }
    })
  }

  /** What came of saving the slot's cache, and of restoring another one for the sequence. */
  settle (sequence: Sequence, { park, keep }: SlotWork, outcome: WorkOutcome): void {
    const saved = park === undefined ? undefined : this.#saving.get(park)
    if (saved !== undefined) {
      this.#saving.delete(saved.id)
      this.#parked.settle(saved, 'parked' in outcome ? outcome.parked : undefined)
    }
    const { restore } = sequence
    if (restore === null) return
    sequence.restore = null
    const durationMs = 'restoredInMs' in outcome ? outcome.restoredInMs : undefined
    if ('isCacheLost' in outcome) this.#parked.release(restore, null)
    else this.#parked.release(restore, durationMs === undefined ? undefined : { tokens: keep, durationMs })
  }
}
