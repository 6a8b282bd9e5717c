/**
 * A queue between one writer, who never waits, and one reader, who iterates. Ending the iteration early calls `onReturn`.
 * What waits to be read may be merged with what comes next; `merge` answers null where it cannot be.
 */
export class EventQueue<Item> implements AsyncIterableIterator<Item> {
  readonly #onReturn: () => void
  readonly #merge: ((last: Item, next: Item) => Item | null) | null
  #items: Item[] = []
  #head = 0
  #isEnded = false
  #error: Error | null = null
  #waiting: { resolve: (result: IteratorResult<Item>) => void, reject: (error: Error) => void } | null = null

  constructor (onReturn: () => void, merge: ((last: Item, next: Item) => Item | null) | null = null) {
    this.#onReturn = onReturn
    this.#merge = merge
  }

  push (item: Item): void {
    if (this.#isEnded) return
    const waiting = this.#waiting
    if (waiting === null) {
      const last = this.#items.length - 1
      const merged = last >= this.#head && this.#merge !== null ? this.#merge(this.#items[last] as Item, item) : null
      if (merged === null) this.#items.push(item)
      else this.#items[last] = merged
    } else {
      this.#waiting = null
      waiting.resolve({ done: false, value: item })
    }
  }

  /** The reader gets what is queued, then the end. */
  end (): void {
    if (this.#isEnded) return
    this.#isEnded = true
    this.#waiting?.resolve({ done: true, value: undefined })
    this.#waiting = null
  }

  /** The reader gets what is queued, then the error. */
  fail (error: Error): void {
    if (this.#isEnded) return
    this.#isEnded = true
    if (this.#waiting === null) this.#error = error
    else this.#waiting.reject(error)
    this.#waiting = null
  }

  async next (): Promise<IteratorResult<Item>> {
    if (this.#head < this.#items.length) {
      const value = this.#items[this.#head++] as Item
      if (this.#head === this.#items.length) {
        this.#items = []
        this.#head = 0
      }
      return { done: false, value }
    }
    if (this.#error !== null) {
      const error = this.#error
      this.#error = null
      throw error
    }
    if (this.#isEnded) return { done: true, value: undefined }
    if (this.#waiting !== null) throw new Error('The queue has one reader, who asks for one item at a time')
    return await new Promise((resolve, reject) => { this.#waiting = { resolve, reject } })
  }

  async return (): Promise<IteratorResult<Item>> {
    if (!this.#isEnded) {
      this.end()
      this.#onReturn()
    }
    this.#items = []
    this.#head = 0
    this.#error = null
    return { done: true, value: undefined }
  }

  [Symbol.asyncIterator] (): this { return this }
}
