import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import path from 'node:path'
import { ServerError } from '../domain/errors.ts'
import type { Millis } from '../domain/ids.ts'
import { abortError, throwIfAborted } from './abort-error.ts'
import { type AdapterCounts, AdapterEntries, type AdapterLogger } from './adapter-entries.ts'
import { type AdapterEntry, createEntry, createGeneration, type Generation } from './adapter-entry.ts'
import type { AdapterLimits, FetchAdapter, PrepareAdapter } from './adapter-facts.ts'
import type { AdapterHost } from './adapter-host.ts'
import { type AdapterLease, AdapterLeases, type AdapterPick } from './adapter-leases.ts'
import { AdapterMemory } from './adapter-memory.ts'
import type { AdapterDefinition, AdapterStatus } from './adapter-status.ts'
import type { RoomLimits } from './choose-evictions.ts'

export interface AdapterRegistryOptions {
  readonly host: AdapterHost
  /** The model's GGUF files, the first one first. */
  readonly modelPaths: readonly string[]
  readonly fetch: FetchAdapter
  readonly prepare: PrepareAdapter
  readonly limits: AdapterLimits
  readonly room: RoomLimits
  /** Most requests that wait for adapters. */
  readonly maxWaiting: () => number
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
  readonly #entries: AdapterEntries
  readonly #memory: AdapterMemory
  readonly #leases: AdapterLeases
  /** By name: the last number that was given. Numbers are not used twice, since caches are known by them. */
  readonly #numbers = new Map<string, number>()
  readonly #turns = new Map<string, Promise<unknown>>()
  readonly #closing = new AbortController()

  constructor (options: AdapterRegistryOptions) {
    const { host, logger, room, maxWaiting, now = () => performance.now() } = options
    this.model = host.id
    this.#options = options
    this.#now = now
    this.#entries = new AdapterEntries(host.id, logger)
    const closing = this.#closing.signal
    this.#memory = new AdapterMemory(this.#entries, { inference: host.inference, room, closing, now })
    this.#leases = new AdapterLeases(this.#entries, this.#memory, { room, maxWaiting, closing, now })
  }

  get counts (): AdapterCounts { return this.#entries.counts }
  get maxAdapters (): number { return this.#options.room.maxAdapters }

  /** Those that can be asked for, in the order of their numbers, then those that are leaving. */
  list (): readonly AdapterStatus[] {
    return this.#entries.all().map((entry) => this.#entries.statusOf(entry))
  }

  find (name: string): AdapterStatus | null {
    const entry = this.#entries.byName.get(name)
    return entry === undefined ? null : this.#entries.statusOf(entry)
  }

  get residentBytes (): number {
    return this.list().reduce((sum, { residentBytes }) => sum + residentBytes, 0)
  }

  /** Settles at the next change of anything. */
  async changed (signal: AbortSignal): Promise<void> {
    await this.#entries.nextChange(signal)
  }

  /**
   * Loads a new adapter, or a new version of one, which serves until the new one can.
   * @throws ServerError `adapter_conflict`, also when the adapter was unloaded meanwhile, `adapter_limit`, `invalid_adapter`, what fetching
   * throws, and `request_aborted` or the signal's reason when it fired
   */
  async load (request: LoadRequest, signal: AbortSignal): Promise<AdapterStatus> {
    return await this.#inTurn(request.name, async () => {
      throwIfAborted(signal)
      // Its folder would come back after it was removed.
      throwIfAborted(this.#closing.signal)
      const known = this.#entries.byName.get(request.name)
      const hasVersion = known !== undefined && known.current !== null
      if (hasVersion && request.ifExists === 'refuse') {
        throw new ServerError('adapter_conflict', `The model "${this.model}" already has an adapter "${request.name}"; say that it is to be replaced, or unload it first`)
      }
      checkGeneration(request.name, known?.current?.number ?? 0, request.expectedGeneration)
      const entry = known ?? createEntry(this.#options.nextId(), definitionOf(request))
      if (!hasVersion) entry.definition = definitionOf(request)
      this.#entries.byName.set(request.name, entry)
      const controller = new AbortController()
      const bothSignals = AbortSignal.any([signal, controller.signal, this.#closing.signal])
      entry.next = { state: 'fetching', controller }
      entry.failure = null
      this.#entries.changed(entry, 'adapter is being fetched')
      try {
        await this.#bring(entry, request, bothSignals)
        return this.#entries.statusOf(entry)
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
    const entry = this.#entries.byName.get(name)
    if (entry === undefined) throw new ServerError('adapter_not_found', `The model "${this.model}" has no adapter "${name}"`)
    checkGeneration(name, entry.current?.number ?? 0, expectedGeneration)
    const { current } = entry
    entry.isUnloaded = true
    this.#entries.byName.delete(name)
    this.#entries.counts.unloads++
    const gone = new ServerError('adapter_conflict', `The adapter "${name}" was unloaded while it was being loaded`, { param: 'name' })
    entry.next?.controller.abort(gone)
    entry.revival?.abort(gone)
    if (current !== null) entry.old.add(current)
    entry.current = null
    if (entry.old.size > 0 || entry.arriving !== null) this.#entries.leaving.add(entry)
    this.#entries.changed(entry, 'adapter unloaded')
    await Promise.all([...entry.old].map(async (generation) => await this.#memory.freeIfUnused(entry, generation)))
    return { ...this.#entries.statusOf(entry), generation: current?.number ?? 0, facts: current?.facts ?? null }
  }

  /** Changes what requests get that name no scale. @throws ServerError `adapter_not_found` */
  setScale (name: string, scale: number): void {
    const entry = this.#entries.byName.get(name)
    if (entry === undefined) throw new ServerError('adapter_not_found', `The model "${this.model}" has no adapter "${name}"`)
    entry.definition = { ...entry.definition, scale }
    this.#entries.notify()
  }

  /**
   * Holds the adapters of a request; brings those back that were evicted, and waits for those on their way.
   * @throws ServerError `model_not_found` for names there are none of, `invalid_adapter` for one that failed, `adapter_limit` for more than
   * fit at once, `queue_full`, `queue_timeout`, or the signal's reason
   */
  async acquire (picks: readonly AdapterPick[], timeoutMs: Millis, signal: AbortSignal): Promise<AdapterLease> {
    return await this.#leases.acquire(picks, timeoutMs, signal)
  }

  /** Gives up what is on its way, and removes the files. The engine's memory goes with its process. */
  async close (): Promise<void> {
    this.#closing.abort(new ServerError('server_draining', 'The server is shutting down'))
    await Promise.allSettled(this.#turns.values())
    await rm(this.#options.folder, { recursive: true, force: true })
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
      this.#advance(entry, 'loading')
      await host.ready(signal)
      generation = createGeneration(request.name, this.#nextNumber(request.name), { path: prepared.file.path, folder, facts: prepared.facts }, Date.now())
      entry.arriving = generation
      // Its size is known now, and whether there can be room for it beside what a request holds that waits for it.
      this.#entries.notify()
      await this.#memory.load(entry, generation, signal)
    } catch (error) {
      entry.arriving = null
      this.#entries.forgetIfGone(entry)
      if (generation === null || generation.residence === 'absent') await rm(folder, { recursive: true, force: true })
      throw error
    }
    generation.loadMs = this.#now() - startedAt
    this.#entries.counts.loadMs += generation.loadMs
    entry.arriving = null
    if (entry.isUnloaded) {
      entry.old.add(generation)
      await this.#memory.freeIfUnused(entry, generation)
      throwIfAborted(signal)
    }
    const replaced = entry.current
    entry.definition = definitionOf(request)
    entry.current = generation
    entry.next = null
    if (replaced !== null) entry.old.add(replaced)
    this.#entries.changed(entry, replaced === null ? 'adapter ready' : 'adapter replaced')
    if (replaced !== null) await this.#memory.freeIfUnused(entry, replaced)
  }

  #noteFailure (entry: AdapterEntry, thrown: unknown, signal: AbortSignal, keepsFailure: boolean): ServerError {
    const error = signal.aborted ? abortError(signal) : ServerError.from(thrown, 'engine_error')
    entry.next = null
    if (!signal.aborted) {
      this.#entries.counts.failures++
      entry.failure = error
    }
    const isForgotten = entry.current === null && (!keepsFailure || signal.aborted) && this.#entries.byName.get(entry.definition.name) === entry
    if (isForgotten) {
      entry.isUnloaded = true
      this.#entries.byName.delete(entry.definition.name)
    }
    // One that is forgotten was never there to be drained.
    this.#entries.changed(entry, 'adapter could not be loaded', { ...isForgotten ? { state: 'failed' } : {}, error: error.message }, 'warn')
    return error
  }

  #advance (entry: AdapterEntry, state: 'checking' | 'loading'): void {
    if (entry.next !== null) entry.next.state = state
    this.#entries.notify()
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
}

const definitionOf = ({ name, reference, origin, scale, isPinned, systemPrompt, chatTemplate }: AdapterDefinition): AdapterDefinition =>
  ({ name, reference, origin, scale, isPinned, systemPrompt, chatTemplate })

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
