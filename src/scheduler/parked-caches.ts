import type { AdapterSetKey } from '../domain/adapter-set.ts'
import { asParkId, type Millis, type ParkId, type Token } from '../domain/ids.ts'
import { commonPrefix } from './policies/prefix-search.ts'
import type { Sequence } from './sequence.ts'

/** The start of a text, with the adapter set that computed its cache. */
export interface CachedText {
  readonly tokens: readonly Token[]
  readonly length: number
  readonly adaptersKey: AdapterSetKey
  /** Whoever it was computed for, if that one lost its slot and will come back for it. */
  readonly wantedBy?: Sequence | null
}

/** A cache that was saved when its slot was given to somebody else. */
export interface ParkedCache extends CachedText {
  readonly id: ParkId
  bytes: number
  /** It can be restored: saved, and not found to be lost. */
  isReady: boolean
  /** Sequences that are about to restore it; it is not dropped before. */
  users: number
  lastUsed: number
}

export interface ParkedSnapshot {
  /** Now: saved caches, and their bytes. */
  readonly parkedCaches: number
  readonly parkedBytes: number
  readonly cachesParked: number
  readonly cachesRestored: number
  /** Prompt tokens that were restored and not computed. */
  readonly restoredTokens: number
  /** Saved caches that were dropped to make room. */
  readonly cachesEvicted: number
}

/** A cache is worth saving, and restoring, for the sake of at least this many tokens that are in no other one. */
export const MIN_PARKED_TOKENS = 128
/** The same where it is certain that it will be restored: for a sequence that lost its slot. */
export const MIN_WANTED_TOKENS = 32

/** But what such a sequence has computed since its cache was saved last is saved too if computing it again would take so many times as long. */
const timesSaving = 2

/** How much of a measure is the latest one's. */
const newest = 0.25

/**
 * Which caches were saved, within a budget of bytes; the least recently used ones are dropped for new ones. What saving and restoring
 * take is learned from what the engine reports.
 */
export class ParkedCaches {
  readonly #budgetBytes: number
  /** Least recently used first. */
  readonly #caches = new Map<ParkId, ParkedCache>()
  #dropped: ParkId[] = []
  #ids = 0
  #uses = 0
  #bytesPerToken = 0
  #saveTokenMs: Millis = 0
  #restoreTokenMs: Millis = 0
  #counters = { cachesParked: 0, cachesRestored: 0, restoredTokens: 0, cachesEvicted: 0 }

  /** @param budgetBytes 0 saves nothing */
  constructor (budgetBytes: number) {
    this.#budgetBytes = budgetBytes
  }

  /** For the next plan to tell the engine; what this says once it does not say again. */
  takeDropped (): readonly ParkId[] {
    const dropped = this.#dropped
    this.#dropped = []
    return dropped
  }

  snapshot (): ParkedSnapshot {
    return { parkedCaches: this.#caches.size, parkedBytes: this.#bytes, ...this.#counters }
  }

  /** The one that holds most of a sequence, without its last token; null when none holds enough to be worth it. */
  find (sequence: Sequence): { readonly cache: ParkedCache, readonly keep: number } | null {
    let best: ParkedCache | null = null
    let keep = (sequence.preemptions > 0 ? MIN_WANTED_TOKENS : MIN_PARKED_TOKENS) - 1
    for (const cache of this.#caches.values()) {
      if (!cache.isReady || cache.adaptersKey !== sequence.request.adapters.key || cache.tokens[keep] !== sequence.tokens[keep]) continue
      const length = commonPrefix(cache.tokens, sequence.tokens, Math.min(cache.length, sequence.tokens.length - 1))
      if (length <= keep) continue
      best = cache
      keep = length
    }
    return best === null ? null : { cache: best, keep }
  }

  /** How long saving so many tokens takes, as far as is known. */
  saveMs (tokens: number): Millis { return tokens * this.#saveTokenMs }

  /** How long restoring so many tokens takes, as far as is known. */
  restoreMs (tokens: number): Millis { return tokens * this.#restoreTokenMs }

  /**
   * Plans to save a cache that is about to be overwritten.
   * @param elsewhere how many of its first tokens are in slots
   * @param longestMs it may take no longer
   * @param promptTokenMs what computing a token takes; 0 where that is not known
   * @returns null when it is not worth it
   */
  park (text: CachedText, elsewhere: () => number, longestMs: Millis, promptTokenMs: Millis): ParkedCache | null {
    const { tokens, length, adaptersKey, wantedBy = null } = text
    const least = wantedBy !== null ? MIN_WANTED_TOKENS : MIN_PARKED_TOKENS
    if (this.#budgetBytes === 0 || length < least) return null
    if (length * this.#bytesPerToken > this.#budgetBytes || this.saveMs(length) > longestMs) return null
    const isCostKnown = promptTokenMs > 0 && this.#saveTokenMs > 0
    const leastSince = wantedBy !== null && isCostKnown ? Math.min(least, Math.max(1, Math.ceil(timesSaving * this.saveMs(length) / promptTokenMs))) : least
    const enough = length - leastSince + 1
    for (const cache of this.#caches.values()) {
      if (cache.adaptersKey === adaptersKey && cache.length >= enough && beginAlike(cache.tokens, tokens, enough)) return null
    }
    if (length - elsewhere() < least) return null
    const cache = {
      id: asParkId(++this.#ids),
      tokens: tokens.slice(0, length),
      length,
      adaptersKey,
      bytes: length * this.#bytesPerToken,
      isReady: false,
      users: 0,
      lastUsed: ++this.#uses
    }
    this.#caches.set(cache.id, cache)
    return cache
  }

  /** It was saved, or could not be. */
  settle (cache: ParkedCache, outcome: { readonly bytes: number, readonly durationMs: Millis } | undefined): void {
    if (outcome === undefined) {
      this.#drop(cache)
      return
    }
    cache.bytes = outcome.bytes
    cache.isReady = true
    this.#counters.cachesParked++
    this.#bytesPerToken = outcome.bytes / cache.length
    this.#saveTokenMs = mix(this.#saveTokenMs, outcome.durationMs / cache.length)
    // Whatever it begins with is in it.
    for (const other of this.#caches.values()) {
      const isStart = other !== cache && other.adaptersKey === cache.adaptersKey && other.length <= cache.length &&
        beginAlike(other.tokens, cache.tokens, other.length)
      if (isStart && other.isReady && other.users === 0) this.#drop(other)
    }
    this.#makeRoom(cache)
  }

  /** A sequence is about to restore it. */
  use (cache: ParkedCache): void {
    cache.users++
    cache.lastUsed = ++this.#uses
  }

  /** The sequence has restored so many tokens in so long, has found it lost (null), or wants it no more (undefined). */
  release (cache: ParkedCache, outcome: { readonly tokens: number, readonly durationMs: Millis } | null | undefined): void {
    cache.users--
    if (outcome === null) cache.isReady = false
    else if (outcome !== undefined) {
      this.#counters.cachesRestored++
      this.#counters.restoredTokens += outcome.tokens
      // All of it is read, however little is kept.
      this.#restoreTokenMs = mix(this.#restoreTokenMs, outcome.durationMs / cache.length)
    }
    if (!cache.isReady && cache.users === 0) this.#drop(cache)
    this.#makeRoom(null)
  }

  get #bytes (): number {
    let bytes = 0
    for (const cache of this.#caches.values()) bytes += cache.bytes
    return bytes
  }

  #makeRoom (spared: ParkedCache | null): void {
    for (let bytes = this.#bytes; bytes > this.#budgetBytes;) {
      let oldest: ParkedCache | null = null
      for (const cache of this.#caches.values()) {
        if (cache.isReady && cache.users === 0 && cache !== spared && (oldest === null || cache.lastUsed < oldest.lastUsed)) oldest = cache
      }
      oldest ??= spared
      if (oldest === null || oldest.users > 0) return
      bytes -= oldest.bytes
      this.#counters.cachesEvicted++
      this.#drop(oldest)
      if (oldest === spared) return
    }
  }

  #drop (cache: ParkedCache): void {
    this.#caches.delete(cache.id)
    this.#dropped.push(cache.id)
  }
}

/** Whether the first tokens are equal. Texts of a crowd that begin alike mostly differ at the last of so many, which is looked at first. */
const beginAlike = (a: readonly Token[], b: readonly Token[], length: number): boolean =>
  a[length - 1] === b[length - 1] && commonPrefix(a, b, length) === length

const mix = (known: Millis, latest: Millis): Millis => known === 0 ? latest : known + newest * (latest - known)
