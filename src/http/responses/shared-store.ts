import type { Millis, TenantId } from '../../domain/ids.ts'

export interface SharedStoreOptions {
  readonly maxBytes: number
  readonly maxCount: number
  /** How long something is kept after it was last used. */
  readonly ttlMs: Millis
  readonly now: () => Millis
}

interface Entry<Value> {
  readonly tenant: TenantId
  readonly id: string
  readonly value: Value
  readonly bytes: number
  usedAt: Millis
}

interface Share<Value> {
  /** By id, least recently used first: a map's order is that of insertion. */
  readonly entries: Map<string, Entry<Value>>
  bytes: number
}

/**
 * Keeps values for tenants within limits that they share. Whoever takes up most makes room, with what it has used least
 * recently: a tenant within its equal share loses nothing to another.
 */
export class SharedStore<Value> {
  readonly #options: SharedStoreOptions
  readonly #shares = new Map<TenantId, Share<Value>>()
  #bytes = 0
  #count = 0

  constructor (options: SharedStoreOptions) {
    this.#options = options
  }

  get bytes (): number { return this.#bytes }
  get count (): number { return this.#count }

  /** Finding it is a use. */
  get (tenant: TenantId, id: string): Value | null {
    const entries = this.#shares.get(tenant)?.entries
    const entry = entries?.get(id)
    if (entries === undefined || entry === undefined) return null
    if (this.#isExpired(entry)) {
      this.#remove(entry)
      return null
    }
    entry.usedAt = this.#options.now()
    entries.delete(id)
    entries.set(id, entry)
    return entry.value
  }

  /** Takes the place of what had the id. What does not fit at all is not kept, and nothing changes: false. */
  set (tenant: TenantId, id: string, value: Value, bytes: number): boolean {
    this.sweep()
    if (bytes > this.#options.maxBytes) return false
    this.delete(tenant, id)
    let share = this.#shares.get(tenant)
    if (share === undefined) {
      share = { entries: new Map(), bytes: 0 }
      this.#shares.set(tenant, share)
    }
    share.entries.set(id, { tenant, id, value, bytes, usedAt: this.#options.now() })
    share.bytes += bytes
    this.#bytes += bytes
    this.#count++
    while (this.#bytes > this.#options.maxBytes) this.#evictFrom(this.#largest(({ bytes: size }) => size))
    while (this.#count > this.#options.maxCount) this.#evictFrom(this.#largest(({ entries }) => entries.size))
    return true
  }

  delete (tenant: TenantId, id: string): boolean {
    const entry = this.#shares.get(tenant)?.entries.get(id)
    if (entry === undefined) return false
    this.#remove(entry)
    return !this.#isExpired(entry)
  }

  /** A tenant's values, most recently used first; looking through them is no use. */
  valuesOf (tenant: TenantId): Value[] {
    return [...this.#shares.get(tenant)?.entries.values() ?? []].filter((entry) => !this.#isExpired(entry)).map(({ value }) => value).reverse()
  }

  /** Drops what has expired. */
  sweep (): void {
    for (const { entries } of [...this.#shares.values()]) {
      for (const entry of entries.values()) {
        if (!this.#isExpired(entry)) break
        this.#remove(entry)
      }
    }
  }

  #isExpired ({ usedAt }: Entry<Value>): boolean {
    return this.#options.now() - usedAt >= this.#options.ttlMs
  }

  #largest (sizeOf: (share: Share<Value>) => number): Share<Value> | null {
    let largest: Share<Value> | null = null
    for (const share of this.#shares.values()) {
      if (largest === null || sizeOf(share) > sizeOf(largest)) largest = share
    }
    return largest
  }

  #evictFrom (share: Share<Value> | null): void {
    const oldest = share?.entries.values().next()
    if (oldest?.done === false) this.#remove(oldest.value)
  }

  #remove ({ tenant, id, bytes }: Entry<Value>): void {
    const share = this.#shares.get(tenant)
    if (share === undefined || !share.entries.delete(id)) return
    share.bytes -= bytes
    this.#bytes -= bytes
    this.#count--
    if (share.entries.size === 0) this.#shares.delete(tenant)
  }
}
