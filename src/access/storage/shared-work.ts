import { setTimeout as delay } from 'node:timers/promises'

export interface SharedWorkOptions<Item, Result> {
  /** Does the work of some items at once. Results are in the order of the items. */
  readonly run: (items: readonly Item[]) => Promise<readonly Result[]>
  /** Most items of one run. */
  readonly most: number
  /** How long a run waits for items that share it; null is not at all. */
  readonly gatherMs?: number | null
}

interface Waiting<Item, Result> {
  readonly item: Item
  readonly resolve: (result: Result) => void
  readonly reject: (reason: unknown) => void
}

/** Does for many at once what costs the same for one: who comes while others are served is served with all who have come by then. */
export class SharedWork<Item, Result> {
  readonly #options: Required<SharedWorkOptions<Item, Result>>
  #waiting: Waiting<Item, Result>[] = []
  #isRunning = false
  #ended: Promise<void> = Promise.resolve()

  constructor (options: SharedWorkOptions<Item, Result>) {
    this.#options = { gatherMs: null, ...options }
  }

  /** Rejects with what the run of the item threw. */
  async do (item: Item): Promise<Result> {
    return await new Promise<Result>((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      if (!this.#isRunning) this.#ended = this.#runAll()
    })
  }

  /** Settles when nothing is left to do. */
  async idle (): Promise<void> {
    await this.#ended
  }

  async #runAll (): Promise<void> {
    const { run, most, gatherMs } = this.#options
    this.#isRunning = true
    while (this.#waiting.length > 0) {
      if (gatherMs !== null) await delay(gatherMs)
      const batch = this.#waiting.splice(0, most)
      try {
        const results = await run(batch.map(({ item }) => item))
        for (const [index, { resolve }] of batch.entries()) resolve(results[index] as Result)
      } catch (error) {
        for (const { reject } of batch) reject(error)
      }
    }
    this.#isRunning = false
  }
}
