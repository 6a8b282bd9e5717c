import type { Millis } from '../domain/ids.ts'
import type { InferenceSnapshot } from './inference.ts'
import type { WireSnapshot } from './protocol.ts'

const INTERVAL_MS = 100

/**
 * Tells numbers to another process: while there is something to do, every 100 ms if they have changed; a last time once all
 * is quiet, so that they are true from then on.
 */
export class SnapshotPublisher {
  readonly #read: () => InferenceSnapshot
  readonly #publish: (snapshot: WireSnapshot) => void
  readonly #now: () => Millis
  #last = ''
  #timer: NodeJS.Timeout | null = null

  constructor (read: () => InferenceSnapshot, publish: (snapshot: WireSnapshot) => void, now: () => Millis) {
    this.#read = read
    this.#publish = publish
    this.#now = now
  }

  current (): WireSnapshot {
    return { now: this.#now(), numbers: this.#read() }
  }

  /** Something has begun. */
  start (): void {
    this.#timer ??= setInterval(() => this.#tick(), INTERVAL_MS)
  }

  /** Something has ended; if it was the last, that is told at once. */
  settle (): void {
    if (isQuiet(this.#read())) this.#tick()
  }

  stop (): void {
    if (this.#timer !== null) clearInterval(this.#timer)
    this.#timer = null
  }

  #tick (): void {
    const snapshot = this.current()
    const text = JSON.stringify(snapshot.numbers)
    if (text !== this.#last) {
      this.#last = text
      this.#publish(snapshot)
    }
    if (isQuiet(snapshot.numbers)) this.stop()
  }
}

/**
 * Whether there is nothing to do. A step may outlive the last request by its own duration; until then, slots and counters
 * may still change.
 */
export const isQuiet = ({ requests, waiting, running, lanes }: InferenceSnapshot): boolean =>
  requests === 0 && waiting === 0 && running === 0 && lanes.every(({ isStepping, busySlots }) => !isStepping && busySlots === 0)
