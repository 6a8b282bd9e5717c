import { rm } from 'node:fs/promises'
import { ServerError } from '../domain/errors.ts'
import type { Millis } from '../domain/ids.ts'
import { throwIfAborted } from './abort-error.ts'
import type { AdapterEntries } from './adapter-entries.ts'
import { type AdapterEntry, type Generation, isInMemory } from './adapter-entry.ts'
import type { AdapterHost } from './adapter-host.ts'
import { chooseEvictions, type Resident, type RoomLimits } from './choose-evictions.ts'

export interface AdapterMemoryOptions {
  readonly inference: AdapterHost['inference']
  readonly room: RoomLimits
  /** Aborted when the server closes. */
  readonly closing: AbortSignal
  readonly now: () => Millis
}

/** A version that takes memory, for the choice of those that have to go. */
interface ResidentVersion extends Resident {
  readonly entry: AdapterEntry
  readonly generation: Generation
}

/** A version that looks for room. */
interface Seeker {
  readonly entry: AdapterEntry
  readonly generation: Generation
  readonly signal: AbortSignal
  /** Once it has found it, or cannot: settles when the room is empty. */
  outcome: (() => Promise<void>) | null
}

/** Which versions of adapters are in the engine's memory: brings them in, within the limits, and takes them out. */
export class AdapterMemory {
  readonly #entries: AdapterEntries
  readonly #options: AdapterMemoryOptions
  /** In the order of their coming. */
  readonly #seekers = new Set<Seeker>()

  constructor (entries: AdapterEntries, options: AdapterMemoryOptions) {
    this.#entries = entries
    this.#options = options
  }

  /** Makes room, and loads a version into the engine. */
  async load (entry: AdapterEntry, generation: Generation, signal: AbortSignal): Promise<void> {
    await this.#makeRoom(entry, generation, signal)
    try {
      await this.#options.inference.loadAdapter(generation.key, { path: generation.path }, signal)
    } catch (error) {
      generation.residence = 'absent'
      this.#entries.notify()
      throw error
    }
    generation.residence = 'resident'
    generation.loadedAt = Date.now()
    generation.lastUsedAt = this.#options.now()
    this.#entries.counts.loads++
    if (signal.aborted || entry.isUnloaded) {
      await this.#leave(generation)
      throwIfAborted(signal)
      throw new ServerError('adapter_conflict', `The adapter "${entry.definition.name}" was unloaded while it was being loaded`, { param: 'name' })
    }
  }

  /** For replaced and unloaded versions. Settles when it is out of memory, unless requests hold it or it is on its way in. */
  async freeIfUnused (entry: AdapterEntry, generation: Generation): Promise<void> {
    // Somebody else takes it out: for its room, or because it was replaced. What they leave behind is ours to remove.
    while (generation.residence === 'leaving') await this.#entries.nextChange(this.#options.closing)
    if (!entry.old.has(generation) || generation.leases > 0 || generation.residence === 'arriving') return
    if (generation.residence === 'resident') await this.#leave(generation)
    entry.old.delete(generation)
    this.#entries.forgetIfGone(entry)
    // Nobody waits for the disk.
    rm(generation.folder, { recursive: true, force: true }).catch(() => {})
    this.#entries.changed(entry, 'adapter version freed', { generation: generation.number, freedBytes: generation.facts.sizeBytes })
  }

  /** Reserves room for a version. One that replaces another needs no room beside it: both are there for a moment only. */
  async #makeRoom (entry: AdapterEntry, generation: Generation, signal: AbortSignal): Promise<void> {
    const seeker: Seeker = { entry, generation, signal, outcome: null }
    this.#seekers.add(seeker)
    try {
      for (;;) {
        // Those that have sought for longer choose first; what they have no use for is not kept from others.
        for (const other of this.#seekers) this.#seek(other)
        if (seeker.outcome !== null) return await seeker.outcome()
        throwIfAborted(signal)
        await this.#entries.nextChange(signal)
      }
    } finally {
      this.#seekers.delete(seeker)
    }
  }

  /** Looks whether there is room for it now, and takes it in the same moment. */
  #seek (seeker: Seeker): void {
    const { entry, generation, signal } = seeker
    if (seeker.outcome !== null || signal.aborted) return
    const residents = this.#entries.all().flatMap((other) => [...other === entry ? [] : servingVersionOf(other), ...drainingVersionsOf(other)])
    const decision = chooseEvictions(residents, generation.facts.sizeBytes, this.#options.room)
    if (decision.type === 'wait') return
    if (decision.type === 'never') {
      const error = this.#noRoom(entry.definition.name, generation)
      seeker.outcome = async () => { throw error }
    } else {
      generation.residence = 'arriving'
      // All are out of requests' reach before the first of them is waited for.
      const evictions = Promise.all(decision.items.map(async (item) => {
        await this.#leave(item.generation)
        this.#entries.counts.evictions++
        this.#entries.changed(item.entry, 'adapter evicted')
      }))
      seeker.outcome = async () => { await evictions }
    }
    this.#entries.notify()
  }

  /**
   * Whether there can ever be room for a version as long as others are held.
   * @param held versions that whoever asks will hold until it is there
   */
  canBeBeside (held: readonly Generation[], { generation, entry }: { readonly generation: Generation, readonly entry: AdapterEntry }): boolean {
    const residents = this.#entries.all().filter((other) => other !== entry).flatMap(servingVersionOf)
      .filter((resident) => resident.isPinned && !held.includes(resident.generation))
    const fixed = [...residents, ...held.map(({ facts: { sizeBytes } }) => ({ sizeBytes }))]
    const { maxAdapters, maxBytes } = this.#options.room
    return fixed.length < maxAdapters && fixed.reduce((sum, { sizeBytes }) => sum + sizeBytes, generation.facts.sizeBytes) <= maxBytes
  }

  #noRoom (name: string, { facts }: Generation): ServerError {
    const { maxAdapters, maxBytes } = this.#options.room
    const bytes = Number.isFinite(maxBytes) ? ` and ${maxBytes} bytes` : ''
    return new ServerError('adapter_limit', `There is no room for the adapter "${name}" of ${facts.sizeBytes} bytes beside those that are pinned; the limit is ${maxAdapters} adapters${bytes}`)
  }

  /** Out of memory. The file stays. */
  async #leave (generation: Generation): Promise<void> {
    generation.residence = 'leaving'
    try {
      await this.#options.inference.unloadAdapter(generation.key)
    } catch (error) {
      // A process that could not be told is gone, and its successor does not load it.
      this.#entries.logger.warn({ model: this.#entries.model, adapter: generation.key, error: (error as Error).message }, 'engine was not told to unload an adapter')
    }
    generation.residence = 'absent'
    this.#entries.notify()
  }
}

/** What requests get, and what comes to be that or to replace it; the two are one, since they are both there for a moment only. */
function servingVersionOf (entry: AdapterEntry): readonly ResidentVersion[] {
  const { current, arriving, definition, waiting } = entry
  const [generation, other] = [current, arriving].filter((version) => version !== null).filter(isInMemory)
  if (generation === undefined) return []
  return [{
    entry,
    generation,
    sizeBytes: Math.max(generation.facts.sizeBytes, other?.facts.sizeBytes ?? 0),
    leases: generation.leases,
    isPinned: definition.isPinned && generation === current,
    // Whoever waits for it is about to hold it.
    isSettled: generation.residence === 'resident' && generation === current && other === undefined && waiting === 0,
    lastUsedAt: generation.lastUsedAt
  }]
}

/** Replaced and unloaded versions. They go by themselves. */
function drainingVersionsOf (entry: AdapterEntry): readonly ResidentVersion[] {
  return [...entry.old].filter(isInMemory).map((generation) =>
    ({ entry, generation, sizeBytes: generation.facts.sizeBytes, leases: generation.leases, isPinned: false, isSettled: false, lastUsedAt: generation.lastUsedAt }))
}
