/** Keeps what was made for the keys that were asked for last, up to a number of them. */
export class RecentlyUsed<Value> {
  readonly #limit: number
  readonly #kept = new Map<string, Value>()

  constructor (limit: number) {
    this.#limit = limit
  }

  /** What is kept for the key, else what `create` makes of it; nothing is kept when that throws. */
  get (key: string, create: () => Value): Value {
    const value = this.#kept.get(key) ?? create()
    this.put(key, value)
    return value
  }

  /** What is kept for the key; undefined where there is nothing. */
  known (key: string): Value | undefined {
    const value = this.#kept.get(key)
    if (value !== undefined) this.put(key, value)
    return value
  }

  /** Keeps a value, in the place of another one of that key. */
  put (key: string, value: Value): void {
    // A map's order is that of insertion.
    this.#kept.delete(key)
    this.#kept.set(key, value)
    const oldest = this.#kept.keys().next()
    if (this.#kept.size > this.#limit && oldest.done !== true) this.#kept.delete(oldest.value)
  }
}
