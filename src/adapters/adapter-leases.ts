import { type AdapterSet, createAdapterSet } from '../domain/adapter-set.ts'
import { ServerError } from '../domain/errors.ts'
import type { Millis } from '../domain/ids.ts'
import { throwIfAborted } from './abort-error.ts'
import type { AdapterEntries } from './adapter-entries.ts'
import type { AdapterEntry, Generation } from './adapter-entry.ts'
import type { AdapterMemory } from './adapter-memory.ts'
import type { RoomLimits } from './choose-evictions.ts'

export interface AdapterPick {
  readonly name: string
  /** Null is the adapter's own. */
  readonly scale: number | null
}

/** Adapters that a request runs with. They stay in memory until it is released. */
export interface AdapterLease {
  readonly adapters: AdapterSet
  /** Once, whatever the request came to. */
  release (): void
}

interface HeldAdapter {
  readonly entry: AdapterEntry
  readonly generation: Generation
  readonly scale: number
}

export interface AdapterLeasesOptions {
  readonly room: Pick<RoomLimits, 'maxAdapters'>
  /** Most requests that wait for adapters. */
  readonly maxWaiting: () => number
  /** Aborted when the server closes. */
  readonly closing: AbortSignal
  readonly now: () => Millis
}

/** Who holds which versions of adapters, and who waits for them. */
export class AdapterLeases {
  readonly #entries: AdapterEntries
  readonly #memory: AdapterMemory
  readonly #options: AdapterLeasesOptions
  /** A request that holds one adapter and waits for another must not wait for a request that does the same. */
  #severalTurn: Promise<unknown> = Promise.resolve()
  #waiting = 0

  constructor (entries: AdapterEntries, memory: AdapterMemory, options: AdapterLeasesOptions) {
    this.#entries = entries
    this.#memory = memory
    this.#options = options
  }

  /**
   * Holds the adapters of a request; brings those back that were evicted, and waits for those on their way.
   * @throws ServerError `model_not_found` for names there are none of, `invalid_adapter` for one that failed, `adapter_limit` for more than
   * fit at once, `queue_full`, `queue_timeout`, or the signal's reason
   */
  async acquire (picks: readonly AdapterPick[], timeoutMs: Millis, signal: AbortSignal): Promise<AdapterLease> {
    const { maxAdapters } = this.#options.room
    if (picks.length > maxAdapters) {
      throw new ServerError('adapter_limit', `The request names ${picks.length} adapters; this server has room for ${maxAdapters}`)
    }
    const ready = this.#holdIfReady(picks)
    if (ready !== null) return ready
    const maxWaiting = this.#options.maxWaiting()
    if (this.#waiting >= maxWaiting) {
      throw new ServerError('queue_full', `${this.#waiting} requests wait for adapters to be loaded; the limit is ${maxWaiting} (--max-queue)`)
    }
    const timeout = new AbortController()
    const timer = setTimeout(() => {
      const names = picks.map(({ name }) => `"${name}"`).join(', ')
      timeout.abort(new ServerError('queue_timeout', `The request waited ${timeoutMs} ms for ${picks.length === 1 ? 'the adapter' : 'the adapters'} ${names} to be loaded`))
    }, Math.min(timeoutMs, 2 ** 31 - 1))
    timer.unref()
    const bothSignals = AbortSignal.any([signal, timeout.signal, this.#options.closing])
    this.#waiting++
    try {
      return picks.length < 2 ? await this.#hold(picks, bothSignals) : await this.#holdSeveral(picks, bothSignals)
    } finally {
      clearTimeout(timer)
      this.#waiting--
    }
  }

  /** Nearly all requests: nothing is to be waited for. */
  #holdIfReady (picks: readonly AdapterPick[]): AdapterLease | null {
    const held: HeldAdapter[] = []
    for (const { name, scale } of picks) {
      const entry = this.#entries.byName.get(name)
      if (entry?.current?.residence !== 'resident') return null
      held.push({ entry, generation: entry.current, scale: scale ?? entry.definition.scale })
    }
    for (const { generation } of held) generation.leases++
    return this.#leaseOf(held)
  }

  async #holdSeveral (picks: readonly AdapterPick[], signal: AbortSignal): Promise<AdapterLease> {
    const mine = this.#severalTurn.then(async () => await this.#hold(picks, signal))
    this.#severalTurn = mine.catch(() => {})
    return await mine
  }

  async #hold (picks: readonly AdapterPick[], signal: AbortSignal): Promise<AdapterLease> {
    const held: HeldAdapter[] = []
    try {
      for (const { name, scale } of picks) {
        const entry = this.#entries.byName.get(name)
        if (entry === undefined) throw new ServerError('model_not_found', `The model "${this.#entries.model}" has no adapter "${name}"`, { param: 'model' })
        const generation = await this.#lease(entry, held, signal)
        held.push({ entry, generation, scale: scale ?? entry.definition.scale })
      }
    } catch (error) {
      for (const { entry, generation } of held) this.#release(entry, generation)
      throw error
    }
    return this.#leaseOf(held)
  }

  #leaseOf (held: HeldAdapter[]): AdapterLease {
    this.#entries.notify()
    return {
      adapters: createAdapterSet(held.map(({ entry, generation, scale }) => ({ name: entry.definition.name, generation: generation.number, scale }))),
      release: () => {
        for (const { entry, generation } of held.splice(0)) this.#release(entry, generation)
      }
    }
  }

  /** The version that requests get, in memory. Counted before anybody else can take its room. */
  async #lease (entry: AdapterEntry, held: readonly HeldAdapter[], signal: AbortSignal): Promise<Generation> {
    throwIfAborted(signal)
    if (entry.current?.residence === 'resident') return hold(entry.current)
    const { failedRevivals } = entry
    entry.waiting++
    try {
      for (;;) {
        throwIfAborted(signal)
        const { definition: { name }, current, failure } = entry
        if (current === null && entry.next === null && failure !== null) {
          throw new ServerError('invalid_adapter', `The adapter "${name}" could not be loaded: ${failure.message}`, { param: 'model' })
        }
        if (entry.isUnloaded) throw new ServerError('model_not_found', `The adapter "${name}" was unloaded`, { param: 'model' })
        if (current?.residence === 'resident') return hold(current)
        this.#checkRoomBeside(held, entry)
        if (entry.failedRevivals > failedRevivals && failure !== null) throw failure
        if (current?.residence === 'absent' && entry.revival === null) this.#revive(entry, current)
        await this.#entries.nextChange(signal)
      }
    } finally {
      entry.waiting--
      // What somebody waits for is not evicted; from now on it may be.
      this.#entries.notify()
      // Nobody wants it any more, and others may want its room.
      if (entry.waiting === 0) entry.revival?.abort(new ServerError('request_aborted', 'Nobody waits for the adapter any more'))
    }
  }

  /** Whoever holds the very room that it waits for would wait for itself, and keep others waiting. */
  #checkRoomBeside (held: readonly HeldAdapter[], entry: AdapterEntry): void {
    const generation = entry.current ?? entry.arriving
    if (held.length === 0 || generation?.residence !== 'absent') return
    if (this.#memory.canBeBeside(held.map((other) => other.generation), { generation, entry })) return
    const names = [...held.map((other) => other.entry), entry].map(({ definition: { name } }) => `"${name}"`)
    throw new ServerError('adapter_limit', `There is no room for the adapters ${names.join(', ')} at once beside those that are pinned`)
  }

  #release (entry: AdapterEntry, generation: Generation): void {
    generation.leases--
    generation.lastUsedAt = this.#options.now()
    this.#entries.notify()
    if (entry.old.has(generation)) this.#memory.freeIfUnused(entry, generation).catch(() => {})
  }

  /** Begins to bring an evicted version back. */
  #revive (entry: AdapterEntry, generation: Generation): void {
    const controller = new AbortController()
    entry.revival = controller
    entry.failure = null
    const startedAt = this.#options.now()
    this.#memory.load(entry, generation, AbortSignal.any([controller.signal, this.#options.closing])).then(() => {
      generation.loadMs = this.#options.now() - startedAt
      this.#entries.counts.loadMs += generation.loadMs
    }, (error: unknown) => {
      if (controller.signal.aborted || this.#options.closing.aborted) return
      this.#entries.counts.failures++
      entry.failedRevivals++
      entry.failure = ServerError.from(error, 'engine_error')
    }).finally(() => {
      entry.revival = null
      const isBack = generation.residence === 'resident'
      this.#entries.changed(entry, isBack ? 'adapter is back in memory' : 'adapter was not brought back', { error: entry.failure?.message })
      if (entry.old.has(generation)) this.#memory.freeIfUnused(entry, generation).catch(() => {})
    }).catch(() => {})
  }
}

function hold (generation: Generation): Generation {
  generation.leases++
  return generation
}
