import { timingSafeEqual } from 'node:crypto'
import { ServerError } from '../../domain/errors.ts'
import type { Millis } from '../../domain/ids.ts'
import type { DatabaseLogger } from '../storage/database.ts'
import { stateOfKey } from './api-key.ts'
import type { FoundKey, KeyStore } from './key-store.ts'
import { digestOf, keyIdOf } from './secret-key.ts'

/** How long a key may go on working that another process has revoked. */
const freshMs = 5000

/** How long known keys go on working while the database gives no answer. Nobody can revoke one meanwhile, either. */
const staleMs = 600_000

const useIntervalMs = 60_000

/** Keys and ids that are none; the least recently read go. */
const mostEntries = 10_000

interface Entry {
  readonly readAt: Millis
  readonly found: { readonly key: FoundKey, readonly digest: string } | null
}

export interface KeyRingOptions {
  readonly store: Pick<KeyStore, 'findDigest' | 'hasAny' | 'noteUse'>
  readonly logger: DatabaseLogger
  /** Monotonic clock in milliseconds. */
  readonly now: () => Millis
  /** Milliseconds since 1970. */
  readonly wallClock: () => number
}

/** The keys that clients use, in memory for a few seconds, so that the database is not asked for every request. */
export class KeyRing {
  readonly #options: KeyRingOptions
  readonly #entries = new Map<string, Entry>()
  readonly #reading = new Map<string, Promise<Entry>>()
  /** When each key's use was last handed to the database. */
  readonly #usesNoted = new Map<string, Millis>()
  #any: { readonly readAt: Millis, readonly is: boolean } | null = null
  #asking: Promise<boolean> | null = null
  /** Counts what was forgotten: a read that began before must not bring it back. */
  #epoch = 0

  constructor (options: KeyRingOptions) {
    this.#options = options
  }

  /**
   * The key that a client sent.
   * @returns null for what is no key of the database
   * @throws ServerError `invalid_api_key` for one that is revoked or has expired; `storage_unavailable`
   */
  async find (secret: string): Promise<FoundKey | null> {
    const id = keyIdOf(secret)
    if (id === null) return null
    const { found } = await this.#read(id)
    if (found === null || !isEqual(digestOf(secret), found.digest)) return null
    this.#checkState(found.key)
    this.#noteUse(id)
    return found.key
  }

  /**
   * The key of an id, or the one that it was rotated to.
   * @returns null when there is none
   * @throws ServerError as {@link find}
   */
  async findSuccessor (id: string): Promise<FoundKey | null> {
    const { found } = await this.#read(id)
    if (found === null) return null
    // A successor is always younger, so this ends.
    if (found.key.replacedBy !== null) return await this.findSuccessor(found.key.replacedBy)
    this.#checkState(found.key)
    return found.key
  }

  /** Whether there are keys, so that everybody needs one. Once there are it stays true. */
  async hasAny (): Promise<boolean> {
    const { store, now } = this.#options
    if (this.#any !== null && (this.#any.is || now() - this.#any.readAt < freshMs)) return this.#any.is
    if (this.#asking === null) {
      const epoch = this.#epoch
      const readAt = now()
      const asking = store.hasAny().then((is) => {
        if (is || epoch === this.#epoch) this.#any = { readAt, is }
        return is
      }).finally(() => {
        if (this.#asking === asking) this.#asking = null
      })
      this.#asking = asking
    }
    return await this.#asking
  }

  /** To be called when keys have changed: what this process did it sees at once. */
  forget (): void {
    this.#epoch++
    this.#entries.clear()
    this.#reading.clear()
    this.#asking = null
    if (this.#any?.is === false) this.#any = null
  }

  #checkState (key: FoundKey): void {
    const state = stateOfKey(key, this.#options.wallClock())
    if (state !== 'active') throw new ServerError('invalid_api_key', `This API key ${state === 'expired' ? 'has expired' : 'was revoked'}. Ask the operator of this server for another one.`)
  }

  async #read (id: string): Promise<Entry> {
    const { now } = this.#options
    const known = this.#entries.get(id)
    if (known !== undefined && now() - known.readAt < freshMs) return known
    try {
      return await (this.#reading.get(id) ?? this.#startReading(id))
    } catch (error) {
      if (known?.found != null && now() - known.readAt < staleMs) return known
      throw error
    }
  }

  #startReading (id: string): Promise<Entry> {
    const { store, now } = this.#options
    const epoch = this.#epoch
    const readAt = now()
    const reading = store.findDigest(id).then((found) => {
      const entry = { readAt, found }
      if (epoch === this.#epoch) this.#keep(id, entry)
      return entry
    }).finally(() => {
      if (this.#reading.get(id) === reading) this.#reading.delete(id)
    })
    this.#reading.set(id, reading)
    return reading
  }

  #keep (id: string, entry: Entry): void {
    this.#entries.delete(id)
    this.#entries.set(id, entry)
    if (this.#entries.size <= mostEntries) return
    const [oldest] = this.#entries.keys()
    if (oldest !== undefined) this.#entries.delete(oldest)
  }

  /** Nobody waits for it. */
  #noteUse (id: string): void {
    const { store, logger, now } = this.#options
    const noted = this.#usesNoted.get(id)
    if (noted !== undefined && now() - noted < useIntervalMs) return
    this.#usesNoted.set(id, now())
    store.noteUse(id).catch((error: unknown) => logger.warn({ err: error, key: id }, 'the use of a key could not be written'))
  }
}

/** Of two digests in hex, which are equally long. */
const isEqual = (a: string, b: string): boolean => a.length === b.length && timingSafeEqual(Buffer.from(a), Buffer.from(b))
