import type { Millis } from '../../src/domain/ids.ts'

interface Departure<Item> {
  readonly atMs: Millis
  readonly item: Item
}

/** Things that will happen at known moments, the earliest first: a binary heap. */
export class Departures<Item> {
  readonly #heap: Departure<Item>[] = []

  /** Infinity when there are none. */
  get nextMs (): Millis { return this.#heap[0]?.atMs ?? Infinity }

  add (atMs: Millis, item: Item): void {
    const heap = this.#heap
    heap.push({ atMs, item })
    let index = heap.length - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (heap[parent]!.atMs <= heap[index]!.atMs) return
      this.#swap(index, parent)
      index = parent
    }
  }

  /** Takes out the earliest. @throws RangeError when there are none */
  take (): Item {
    const heap = this.#heap
    const first = heap[0]
    if (first === undefined) throw new RangeError('nobody departs')
    const last = heap.pop()!
    if (heap.length > 0) {
      heap[0] = last
      this.#sink()
    }
    return first.item
  }

  #sink (): void {
    const heap = this.#heap
    for (let index = 0; ;) {
      let least = index
      for (const child of [2 * index + 1, 2 * index + 2]) {
        if (child < heap.length && heap[child]!.atMs < heap[least]!.atMs) least = child
      }
      if (least === index) return
      this.#swap(index, least)
      index = least
    }
  }

  #swap (one: number, other: number): void {
    const item = this.#heap[one]!
    this.#heap[one] = this.#heap[other]!
    this.#heap[other] = item
  }
}
