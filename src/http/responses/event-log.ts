/** Most events that a reader is given at once. */
const eventsAtOnce = 64

/** The events of a stream that several may read, at any time and from any place. Event n has the sequence number n. */
export class EventLog {
  readonly #events: string[]
  #isEnded: boolean
  #waiting: (() => void)[] = []

  /** @param events of a stream that is over */
  constructor (events: readonly string[] | null = null) {
    this.#events = [...events ?? []]
    this.#isEnded = events !== null
  }

  get events (): readonly string[] { return this.#events }

  append (event: string): void {
    this.#events.push(event)
    this.#wake()
  }

  end (): void {
    this.#isEnded = true
    this.#wake()
  }

  /** Events after that number, several in one text, until the last one or until the signal fires. */
  async * read (after: number, signal: AbortSignal): AsyncGenerator<string> {
    let next = after + 1
    while (!signal.aborted) {
      if (next < this.#events.length) {
        const events = this.#events.slice(next, next + eventsAtOnce)
        next += events.length
        yield events.join('')
      } else if (this.#isEnded) {
        return
      } else {
        await this.#more(signal)
      }
    }
  }

  async #more (signal: AbortSignal): Promise<void> {
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        signal.removeEventListener('abort', wake)
        resolve()
      }
      signal.addEventListener('abort', wake, { once: true })
      this.#waiting.push(wake)
    })
  }

  #wake (): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}
