import type { AdapterSetKey } from '../../domain/adapter-set.ts'
import type { Token } from '../../domain/ids.ts'
import { mixSeed } from '../../domain/seed.ts'

/** What a KV cache is to the fake engine: the tokens, the adapter set that computed them, and a hash of every prefix. */
export class SlotCache {
  #adapters = '' as AdapterSetKey
  #root = 0
  #isKnown = true
  readonly #tokens: Token[] = []
  readonly #hashes: number[] = []

  get length (): number { return this.#tokens.length }

  /** The adapter set that computed the tokens; of no meaning while there are none. */
  get adapters (): AdapterSetKey { return this.#adapters }

  /** False after a fault: what the slot holds can no longer be told. */
  get isKnown (): boolean { return this.#isKnown }

  /** Hash of the adapter set and all tokens. */
  get hash (): number { return this.hashAt(this.#tokens.length) }

  get tokens (): readonly Token[] { return this.#tokens }

  /** Hash of the adapter set and the first `length` tokens. */
  hashAt (length: number): number {
    return length === 0 ? this.#root : this.#hashes[length - 1]!
  }

  /** Drops everything after the first `length` tokens. */
  truncate (length: number): void {
    // A decode keeps everything; setting an array's length costs even then.
    if (length === this.#tokens.length) return
    this.#tokens.length = length
    this.#hashes.length = length
  }

  /** Empties the slot for another adapter set. */
  reset (adapters: AdapterSetKey): void {
    this.truncate(0)
    this.#adapters = adapters
    this.#root = SlotCache.rootHash(adapters)
    this.#isKnown = true
  }

  /** Becomes a copy of the first `length` tokens of another slot. */
  copy (source: SlotCache, length: number): void {
    this.reset(source.#adapters)
    for (let index = 0; index < length; index++) {
      this.#tokens.push(source.#tokens[index]!)
      this.#hashes.push(source.#hashes[index]!)
    }
  }

  /** An equal one that does not change with this one. */
  clone (): SlotCache {
    const clone = new SlotCache()
    clone.copy(this, this.length)
    return clone
  }

  append (tokens: readonly Token[]): void {
    let hash = this.hash
    for (const token of tokens) {
      hash = SlotCache.nextHash(hash, token)
      this.#tokens.push(token)
      this.#hashes.push(hash)
    }
  }

  /** The content is lost; only a reset helps. */
  forget (): void {
    this.truncate(0)
    this.#isKnown = false
  }

  /** Hash of no tokens under an adapter set (FNV-1a over its key, then mixed). */
  static rootHash (adapters: AdapterSetKey): number {
    let hash = 0x811c_9dc5
    for (let index = 0; index < adapters.length; index++) {
      hash = Math.imul(hash ^ adapters.charCodeAt(index), 0x0100_0193)
    }
    return mixSeed(hash >>> 0, adapters.length) | 0
  }

  /** Hash of a prefix and one more token. Signed, so that it stays a small integer in V8. */
  static nextHash (hash: number, token: Token): number {
    return mixSeed(hash, token) | 0
  }
}
