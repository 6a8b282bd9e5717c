import { copyFile, constants, mkdir, mkdtemp, rm } from 'node:fs/promises'
import path from 'node:path'
import { type AdapterSet, type AdapterKey, createAdapterSet } from '../domain/adapter-set.ts'
import { ServerError } from '../domain/errors.ts'
import type { Millis } from '../domain/ids.ts'
import type { AdapterFile } from '../engine/engine.ts'
import { type AdapterEntry, createEntry, createGeneration, type Generation, generationsOf, toStatus } from './adapter-entry.ts'
import type { AdapterLimits, PrepareAdapter } from './adapter-facts.ts'
import type { AdapterDefinition, AdapterStatus } from './adapter-status.ts'
import { Changes } from './changes.ts'
import { chooseEvictions, type RoomLimits } from './choose-evictions.ts'

/** The model that a registry's adapters belong to, as far as it needs it. */
export interface AdapterHost {
  readonly id: string
  ready (signal: AbortSignal): Promise<void>
  readonly inference: {
    loadAdapter (key: AdapterKey, file: AdapterFile, signal: AbortSignal): Promise<void>
    unloadAdapter (key: AdapterKey): Promise<void>
  }
}

/** Brings what a reference names into a folder, or says where it is. A file of the user's is copied: what is checked is what is loaded. */
export type FetchAdapter = (definition: Pick<AdapterDefinition, 'reference' | 'origin'>, options: {
  readonly folder: string
  readonly signal: AbortSignal
}) => Promise<string>

export type AdapterLogger = Readonly<Record<'info' | 'warn', (details: object, message: string) => void>>

export interface AdapterRegistryOptions {
  readonly host: AdapterHost
  /** The model's GGUF files, the first one first. */
  readonly modelPaths: readonly string[]
  readonly fetch: FetchAdapter
  readonly prepare: PrepareAdapter
  readonly limits: AdapterLimits
  readonly room: RoomLimits
  /** The registry's own; it makes and removes it. Whatever happens to users' files, what runs can be loaded again from here. */
  readonly folder: string
  /** Gives the number of a new adapter. */
  readonly nextId: () => number
  readonly logger: AdapterLogger
  /** Monotonic clock in milliseconds. */
  readonly now?: () => Millis
}

export interface LoadRequest extends AdapterDefinition {
  /** What happens when there is an adapter of that name. */
  readonly ifExists: 'refuse' | 'replace'
  /** The generation that is to be replaced; 0 is none. Any, where nothing is said. */
  readonly expectedGeneration?: number
  /** Whether it stays on the list when its first version cannot be had, for somebody to see why. */
  readonly keepsFailure: boolean
}

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

/** Counted since the start. */
export interface AdapterCounts {
  readonly loads: number
  readonly failures: number
  readonly evictions: number
  readonly unloads: number
  /** Time that loads took, from the file to memory. */
  readonly loadMs: Millis
}

/**
 * The adapters of one model: which there are, in which versions, which of them are in memory, and who holds them.
 *
 * A version is loaded from a private copy and never changes. A replaced or unloaded one goes when the last request that began with it has
 * ended; new requests do not see it. Loads of one name happen one after the other, and a failed one leaves things as they were.
 */
export class AdapterRegistry {
  readonly model: string
  readonly #options: AdapterRegistryOptions
  readonly #now: () => Millis
  readonly #entries = new Map<string, AdapterEntry>()
  /** Unloaded, and still in memory for requests. */
  readonly #leaving = new Set<AdapterEntry>()
  /** By name: the last number that was given. Numbers are not used twice, since caches are known by them. */
  readonly #numbers = new Map<string, number>()
  readonly #turns = new Map<string, Promise<unknown>>()
  readonly #changes = new Changes()
  readonly #closing = new AbortController()
  readonly #counts = { loads: 0, failures: 0, evictions: 0, unloads: 0, loadMs: 0 }
  /** Two that look for room at once would both take the same. */
  #roomTurn: Promise<unknown> = Promise.resolve()
  /** A request that holds one adapter and waits for another must not wait for a request that does the same. */
  #severalTurn: Promise<unknown> = Promise.resolve()

  constructor (options: AdapterRegistryOptions) {
    this.model = options.host.id
    this.#options = options
    this.#now = options.now ?? (() => performance.now())
  }

  get counts (): AdapterCounts { return this.#counts }
  get maxAdapters (): number { return this.#options.room.maxAdapters }

  /** Those that can be asked for, in the order of their numbers, then those that are leaving. */
  list (): readonly AdapterStatus[] {
    return [...this.#entries.values(), ...this.#leaving].map((entry) => this.#statusOf(entry))
  }

  find (name: string): AdapterStatus | null {
    const entry = this.#entries.get(name)
    return entry === undefined ? null : this.#statusOf(entry)
  }

  get residentBytes (): number {
    return this.list().reduce((sum, { residentBytes }) => sum + residentBytes, 0)
  }

  /** Settles at the next change of anything. */
  async changed (signal: AbortSignal): Promise<void> {
    await this.#changes.next(signal)
  }

  /**
   * Loads a new adapter, or a new version of one, which serves until the new one can.
   * @throws ServerError `adapter_conflict`, `adapter_limit`, `invalid_adapter`, what fetching throws, and `request_aborted` when the
   * signal fired or the adapter was unloaded meanwhile
   */
  async load (request: LoadRequest, signal: AbortSignal): Promise<AdapterStatus> {
    return await this.#inTurn(request.name, async () => {
      throwIfAborted(signal)
      const known = this.#entries.get(request.name)
      const hasVersion = known !== undefined && known.current !== null
      if (hasVersion && request.ifExists === 'refuse') {
        throw new ServerError('adapter_conflict', `The model "${this.model}" already has an adapter "${request.name}"`)
      }
      checkGeneration(request.name, known?.current?.number ?? 0, request.expectedGeneration)
      const entry = known ?? createEntry(this.#options.nextId(), definitionOf(request))
      if (!hasVersion) entry.definition = definitionOf(request)
      this.#entries.set(request.name, entry)
      const controller = new AbortController()
      const bothSignals = AbortSignal.any([signal, controller.signal, this.#closing.signal])
      entry.next = { state: 'fetching', controller }
      entry.failure = null
      this.#changed(entry, 'adapter is being fetched')
      try {
        await this.#bring(entry, request, bothSignals)
        return this.#statusOf(entry)
      } catch (thrown) {
        throw this.#noteFailure(entry, thrown, bothSignals, request.keepsFailure)
      }
    })
  }

  /**
   * New requests for it are refused at once; the versions that running requests hold go with the last of them. Settles when it is out of
   * memory, unless requests hold it.
   * @returns what was unloaded.
   * @throws ServerError `adapter_not_found`, `adapter_conflict`
   */
  async unload (name: string, expectedGeneration?: number): Promise<AdapterStatus> {
    const entry = this.#entries.get(name)
    if (entry === undefined) throw new ServerError('adapter_not_found', `The model "${this.model}" has no adapter "${name}"`)
    checkGeneration(name, entry.current?.number ?? 0, expectedGeneration)
    const { current } = entry
    entry.isUnloaded = true
    this.#entries.delete(name)
    this.#counts.unloads++
    const gone = new ServerError('request_aborted', `The adapter "${name}" was unloaded`)
    entry.next?.controller.abort(gone)
    entry.revival?.abort(gone)
    if (current !== null) entry.old.add(current)
    entry.current = null
    if (entry.old.size > 0) this.#leaving.add(entry)
    this.#changed(entry, 'adapter unloaded')
    await Promise.all([...entry.old].map(async (generation) => await this.#freeIfUnused(entry, generation)))
    return { ...this.#statusOf(entry), generation: current?.number ?? 0, facts: current?.facts ?? null }
  }

  /** Changes what requests get that name no scale. @throws ServerError `adapter_not_found` */
  setScale (name: string, scale: number): void {
    const entry = this.#entries.get(name)
    if (entry === undefined) throw new ServerError('adapter_not_found', `The model "${this.model}" has no adapter "${name}"`)
    entry.definition = { ...entry.definition, scale }
    this.#changes.notify()
  }

  /**
   * Holds the adapters of a request; brings those back that were evicted, and waits for those on their way.
   * @throws ServerError `model_not_found` for names there are none of, `invalid_adapter` for one that failed, `adapter_limit` for more than
   * fit at once, `queue_timeout`, or the signal's reason
   */
  async acquire (picks: readonly AdapterPick[], timeoutMs: Millis, signal: AbortSignal): Promise<AdapterLease> {
    if (picks.length > this.maxAdapters) {
      throw new ServerError('adapter_limit', `The request names ${picks.length} adapters; this server has room for ${this.maxAdapters}`)
    }
    const ready = this.#holdIfReady(picks)
    if (ready !== null) return ready
    const timeout = new AbortController()
    const timer = setTimeout(() => {
      const names = picks.map(({ name }) => `"${name}"`).join(', ')
      timeout.abort(new ServerError('queue_timeout', `The request waited ${timeoutMs} ms for ${picks.length === 1 ? 'the adapter' : 'the adapters'} ${names} to be loaded`))
    }, Math.min(timeoutMs, 2 ** 31 - 1))
    timer.unref()
    const bothSignals = AbortSignal.any([signal, timeout.signal, this.#closing.signal])
    try {
      return picks.length < 2 ? await this.#hold(picks, bothSignals) : await this.#holdSeveral(picks, bothSignals)
    } finally {
      clearTimeout(timer)
    }
  }

  /** Gives up what is on its way, and removes the files. The engine's memory goes with its process. */
  async close (): Promise<void> {
    this.#closing.abort(new ServerError('server_draining', 'The server is shutting down'))
    await Promise.allSettled([...this.#turns.values(), this.#roomTurn])
    await rm(this.#options.folder, { recursive: true, force: true })
  }

  /** Nearly all requests: nothing is to be waited for. */
  #holdIfReady (picks: readonly AdapterPick[]): AdapterLease | null {
    const held: HeldAdapter[] = []
    for (const { name, scale } of picks) {
      const entry = this.#entries.get(name)
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
        const entry = this.#entries.get(name)
        if (entry === undefined) throw new ServerError('model_not_found', `The model "${this.model}" has no adapter "${name}"`, { param: 'model' })
        const generation = await this.#lease(entry, signal)
        held.push({ entry, generation, scale: scale ?? entry.definition.scale })
      }
    } catch (error) {
      for (const { entry, generation } of held) this.#release(entry, generation)
      throw error
    }
    return this.#leaseOf(held)
  }

  #leaseOf (held: HeldAdapter[]): AdapterLease {
    this.#changes.notify()
    return {
      adapters: createAdapterSet(held.map(({ entry, generation, scale }) => ({ name: entry.definition.name, generation: generation.number, scale }))),
      release: () => {
        for (const { entry, generation } of held.splice(0)) this.#release(entry, generation)
      }
    }
  }

  /** The version that requests get, in memory. Counted before anybody else can take its room. */
  async #lease (entry: AdapterEntry, signal: AbortSignal): Promise<Generation> {
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
        if (entry.failedRevivals > failedRevivals && failure !== null) throw failure
        if (current?.residence === 'absent' && entry.revival === null) this.#revive(entry, current)
        await this.#nextChange(signal)
      }
    } finally {
      entry.waiting--
      // Nobody wants it any more, and others may want its room.
      if (entry.waiting === 0) entry.revival?.abort(new ServerError('request_aborted', 'Nobody waits for the adapter any more'))
    }
  }

  #release (entry: AdapterEntry, generation: Generation): void {
    generation.leases--
    generation.lastUsedAt = this.#now()
    this.#changes.notify()
    if (entry.old.has(generation)) this.#freeIfUnused(entry, generation).catch(() => {})
  }

  /** From the reference to the version that requests get. */
  async #bring (entry: AdapterEntry, request: LoadRequest, signal: AbortSignal): Promise<void> {
    const { host, fetch, prepare, limits, modelPaths } = this.#options
    const startedAt = this.#now()
    // Servers without adapters need no place to write to.
    await mkdir(this.#options.folder, { recursive: true, mode: 0o700 })
    const folder = await mkdtemp(path.join(this.#options.folder, 'adapter-'))
    let generation: Generation | null = null
    try {
      const found = await fetch(request, { folder, signal })
      this.#advance(entry, 'checking')
      const prepared = await prepare(found, { modelPaths, limits, folder, signal }).catch((error: unknown) => {
        throw namingReference(error, found, request.reference)
      })
      const file = await this.#own(prepared.file.path, folder)
      this.#advance(entry, 'loading')
      await host.ready(signal)
      generation = createGeneration(request.name, this.#nextNumber(request.name), { path: file, folder, facts: prepared.facts }, Date.now())
      await this.#loadInto(entry, generation, signal)
    } catch (error) {
      if (generation === null || generation.residence === 'absent') await rm(folder, { recursive: true, force: true })
      throw error
    }
    generation.loadMs = this.#now() - startedAt
    this.#counts.loadMs += generation.loadMs
    if (entry.isUnloaded) {
      entry.old.add(generation)
      await this.#freeIfUnused(entry, generation)
      throwIfAborted(signal)
    }
    const replaced = entry.current
    entry.definition = definitionOf(request)
    entry.current = generation
    entry.next = null
    if (replaced !== null) entry.old.add(replaced)
    this.#changed(entry, replaced === null ? 'adapter ready' : 'adapter replaced')
    if (replaced !== null) await this.#freeIfUnused(entry, replaced)
  }

  /** Files of the user's may change or go; what runs must be there to be loaded again. */
  async #own (file: string, folder: string): Promise<string> {
    if (path.dirname(path.resolve(file)) === path.resolve(folder)) return file
    const own = path.join(folder, 'adapter.gguf')
    await copyFile(file, own, constants.COPYFILE_FICLONE)
    return own
  }

  #revive (entry: AdapterEntry, generation: Generation): void {
    const controller = new AbortController()
    entry.revival = controller
    entry.failure = null
    const startedAt = this.#now()
    this.#loadInto(entry, generation, AbortSignal.any([controller.signal, this.#closing.signal])).then(() => {
      generation.loadMs = this.#now() - startedAt
      this.#counts.loadMs += generation.loadMs
    }, (error: unknown) => {
      if (controller.signal.aborted || this.#closing.signal.aborted) return
      this.#counts.failures++
      entry.failedRevivals++
      entry.failure = ServerError.from(error, 'engine_error')
    }).finally(() => {
      entry.revival = null
      const isBack = generation.residence === 'resident'
      this.#changed(entry, isBack ? 'adapter is back in memory' : 'adapter was not brought back', { error: entry.failure?.message })
      if (entry.old.has(generation)) this.#freeIfUnused(entry, generation).catch(() => {})
    }).catch(() => {})
  }

  /** Makes room, and loads a version into the engine. */
  async #loadInto (entry: AdapterEntry, generation: Generation, signal: AbortSignal): Promise<void> {
    const { host } = this.#options
    const turn = this.#roomTurn.then(async () => await this.#makeRoom(entry, generation, signal))
    this.#roomTurn = turn.catch(() => {})
    await turn
    try {
      await host.inference.loadAdapter(generation.key, { path: generation.path }, signal)
    } catch (error) {
      generation.residence = 'absent'
      this.#changes.notify()
      throw error
    }
    generation.residence = 'resident'
    generation.loadedAt = Date.now()
    generation.lastUsedAt = this.#now()
    this.#counts.loads++
    if (signal.aborted || entry.isUnloaded) {
      await this.#leave(generation)
      throwIfAborted(signal)
      throw new ServerError('request_aborted', `The adapter "${entry.definition.name}" was unloaded`)
    }
  }

  /** Reserves room for a version. One that replaces another needs no room beside it: both are there for a moment only. */
  async #makeRoom (entry: AdapterEntry, generation: Generation, signal: AbortSignal): Promise<void> {
    for (;;) {
      throwIfAborted(signal)
      const residents = [...this.#entries.values(), ...this.#leaving].filter((other) => other !== entry).flatMap((other) =>
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
      const decision = chooseEvictions(residents, generation.facts.sizeBytes, this.#options.room)
      if (decision.type === 'never') throw this.#noRoom(entry.definition.name, generation)
      if (decision.type === 'evict') {
        generation.residence = 'arriving'
        for (const item of decision.items) {
          await this.#leave(item.resident)
          this.#counts.evictions++
          this.#changed(item.entry, 'adapter evicted')
        }
        return
      }
      await this.#nextChange(signal)
    }
  }

  async #nextChange (signal: AbortSignal): Promise<void> {
    await this.#changes.next(signal).catch(() => { throw abortError(signal) })
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
      await this.#options.host.inference.unloadAdapter(generation.key)
    } catch (error) {
      // A process that could not be told is gone, and its successor does not load it.
      this.#options.logger.warn({ model: this.model, adapter: generation.key, error: (error as Error).message }, 'engine was not told to unload an adapter')
    }
    generation.residence = 'absent'
    this.#changes.notify()
  }

  /** For replaced and unloaded versions. */
  async #freeIfUnused (entry: AdapterEntry, generation: Generation): Promise<void> {
    if (generation.leases > 0 || generation.residence === 'leaving' || generation.residence === 'arriving') return
    if (generation.residence === 'resident') await this.#leave(generation)
    entry.old.delete(generation)
    if (entry.old.size === 0) this.#leaving.delete(entry)
    // Nobody waits for the disk.
    rm(generation.folder, { recursive: true, force: true }).catch(() => {})
    this.#changed(entry, 'adapter version freed', { generation: generation.number, freedBytes: generation.facts.sizeBytes })
  }

  #noteFailure (entry: AdapterEntry, thrown: unknown, signal: AbortSignal, keepsFailure: boolean): ServerError {
    const error = signal.aborted ? abortError(signal) : ServerError.from(thrown, 'engine_error')
    entry.next = null
    if (!signal.aborted) {
      this.#counts.failures++
      entry.failure = error
    }
    const isForgotten = entry.current === null && (!keepsFailure || signal.aborted) && this.#entries.get(entry.definition.name) === entry
    if (isForgotten) {
      entry.isUnloaded = true
      this.#entries.delete(entry.definition.name)
    }
    this.#changed(entry, 'adapter could not be loaded', { error: error.message }, 'warn')
    return error
  }

  #advance (entry: AdapterEntry, state: 'checking' | 'loading'): void {
    if (entry.next !== null) entry.next.state = state
    this.#changes.notify()
  }

  async #inTurn<Result> (name: string, task: () => Promise<Result>): Promise<Result> {
    const before = this.#turns.get(name)
    const mine = before === undefined ? task() : before.then(task)
    const settled = mine.catch(() => {})
    this.#turns.set(name, settled)
    try {
      return await mine
    } finally {
      if (this.#turns.get(name) === settled) this.#turns.delete(name)
    }
  }

  #nextNumber (name: string): number {
    const number = (this.#numbers.get(name) ?? 0) + 1
    this.#numbers.set(name, number)
    return number
  }

  #statusOf (entry: AdapterEntry): AdapterStatus {
    return toStatus(this.model, entry, Date.now())
  }

  #changed (entry: AdapterEntry, message: string, details: object = {}, level: 'info' | 'warn' = 'info'): void {
    const { name, state, generation, inFlight, residentBytes, loadMs } = this.#statusOf(entry)
    this.#options.logger[level]({ model: this.model, adapter: name, state, generation, inFlight, residentBytes, loadMs: loadMs === null ? null : Math.round(loadMs), ...details }, message)
    this.#changes.notify()
  }
}

const definitionOf = ({ name, reference, origin, scale, isPinned, systemPrompt, chatTemplate }: AdapterDefinition): AdapterDefinition =>
  ({ name, reference, origin, scale, isPinned, systemPrompt, chatTemplate })

function hold (generation: Generation): Generation {
  generation.leases++
  return generation
}

function checkGeneration (name: string, present: number, expected: number | undefined): void {
  if (expected === undefined || expected === present) return
  const is = present === 0 ? 'there is none of that name' : `it is at generation ${present}`
  throw new ServerError('adapter_conflict', `The adapter "${name}" was expected at generation ${expected}, but ${is}`, { param: 'expected_generation' })
}

/** Whoever reads it knows the file by their own name for it. */
function namingReference (error: unknown, found: string, reference: string): unknown {
  if (!(error instanceof ServerError) || !error.message.includes(found)) return error
  return new ServerError(error.code, error.message.replaceAll(found, reference), { param: error.param, cause: error })
}

function abortError (signal: AbortSignal): ServerError {
  return signal.reason instanceof ServerError ? signal.reason : new ServerError('request_aborted', 'The client has gone')
}

function throwIfAborted (signal: AbortSignal): void {
  if (signal.aborted) throw abortError(signal)
}
