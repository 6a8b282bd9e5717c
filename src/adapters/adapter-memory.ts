import { rm } from 'node:fs/promises'
import { ServerError } from '../domain/errors.ts'
import type { Millis } from '../domain/ids.ts'
import { throwIfAborted } from './abort-error.ts'
import type { AdapterEntries } from './adapter-entries.ts'
import { type AdapterEntry, type Generation, generationsOf } from './adapter-entry.ts'
import type { AdapterHost } from './adapter-host.ts'
import { chooseEvictions, type RoomLimits } from './choose-evictions.ts'

/** Which versions of adapters are in the engine's memory: brings them in, within the limits, and takes them out. */
export class AdapterMemory {
  readonly #entries: AdapterEntries
  readonly #inference: AdapterHost['inference']
  readonly #room: RoomLimits
  readonly #now: () => Millis
  /** Two that look for room at once would both take the same. */
  #roomTurn: Promise<unknown> = Promise.resolve()

  constructor (entries: AdapterEntries, inference: AdapterHost['inference'], room: RoomLimits, now: () => Millis) {
    this.#entries = entries
    this.#inference = inference
    this.#room = room
    this.#now = now
  }

  /** Settles when nobody looks for room any more. */
  async settle (): Promise<void> {
    await this.#roomTurn
  }

  /** Makes room, and loads a version into the engine. */
  async load (entry: AdapterEntry, generation: Generation, signal: AbortSignal): Promise<void> {
    const turn = this.#roomTurn.then(async () => await this.#makeRoom(entry, generation, signal))
    this.#roomTurn = turn.catch(() => {})
    await turn
    try {
      await this.#inference.loadAdapter(generation.key, { path: generation.path }, signal)
    } catch (error) {
      generation.residence = 'absent'
      this.#entries.notify()
      throw error
    }
    generation.residence = 'resident'
    generation.loadedAt = Date.now()
    generation.lastUsedAt = this.#now()
    this.#entries.counts.loads++
    if (signal.aborted || entry.isUnloaded) {
      await this.#leave(generation)
      throwIfAborted(signal)
      throw new ServerError('request_aborted', `The adapter "${entry.definition.name}" was unloaded`)
    }
  }

  /** For replaced and unloaded versions. */
  async freeIfUnused (entry: AdapterEntry, generation: Generation): Promise<void> {
    if (generation.leases > 0 || generation.residence === 'leaving' || generation.residence === 'arriving') return
    if (generation.residence === 'resident') await this.#leave(generation)
    entry.old.delete(generation)
    if (entry.old.size === 0) this.#entries.leaving.delete(entry)
    // Nobody waits for the disk.
    rm(generation.folder, { recursive: true, force: true }).catch(() => {})
    this.#entries.changed(entry, 'adapter version freed', { generation: generation.number, freedBytes: generation.facts.sizeBytes })
  }

  /** Reserves room for a version. One that replaces another needs no room beside it: both are there for a moment only. */
  async #makeRoom (entry: AdapterEntry, generation: Generation, signal: AbortSignal): Promise<void> {
    for (;;) {
      throwIfAborted(signal)
      const residents = this.#entries.all().filter((other) => other !== entry).flatMap((other) =>
        generationsOf(other).filter(({ residence }) => residence !== 'absent').map((resident) => ({
          entry: other,
          resident,
          sizeBytes: resident.facts.sizeBytes,
          leases: resident.leases,
          isPinned: other.definition.isPinned && resident === other.current,
          // Others than the current one go by themselves.
          isSettled: resident.residence === 'resident' && resident === other.current,
          lastUsedAt: resident.lastUsedAt
        })))
      const decision = chooseEvictions(residents, generation.facts.sizeBytes, this.#room)
      if (decision.type === 'never') throw this.#noRoom(entry.definition.name, generation)
      if (decision.type === 'evict') {
        generation.residence = 'arriving'
        for (const item of decision.items) {
          await this.#leave(item.resident)
          this.#entries.counts.evictions++
          this.#entries.changed(item.entry, 'adapter evicted')
        }
        return
      }
      await this.#entries.nextChange(signal)
    }
  }

  #noRoom (name: string, { facts }: Generation): ServerError {
    const { maxAdapters, maxBytes } = this.#room
    const bytes = Number.isFinite(maxBytes) ? ` and ${maxBytes} bytes` : ''
    return new ServerError('adapter_limit', `There is no room for the adapter "${name}" of ${facts.sizeBytes} bytes beside those that are pinned; the limit is ${maxAdapters} adapters${bytes}`)
  }

  /** Out of memory. The file stays. */
  async #leave (generation: Generation): Promise<void> {
    generation.residence = 'leaving'
    try {
      await this.#inference.unloadAdapter(generation.key)
    } catch (error) {
      // A process that could not be told is gone, and its successor does not load it.
      this.#entries.logger.warn({ model: this.#entries.model, adapter: generation.key, error: (error as Error).message }, 'engine was not told to unload an adapter')
    }
    generation.residence = 'absent'
    this.#entries.notify()
  }
}
