import { ServerError } from '../domain/errors.ts'
import type { Millis } from '../domain/ids.ts'
import type { Sequence } from './sequence.ts'

/** Whose time is up; looked for only when somebody's may be. */
export class Deadlines {
  /** No deadline passes before this moment. */
  #earliest: Millis = Infinity

  /** Its time may be the next to be up. */
  watch (sequence: Sequence): void {
    this.#earliest = Math.min(this.#earliest, sequence.timesOutAt)
  }

  /** @param everybody that was watched and has not ended, in the order of the answer */
  passed (now: Millis, ...everybody: ReadonlyArray<Iterable<Sequence>>): readonly Sequence[] {
    if (now < this.#earliest) return []
    const passed: Sequence[] = []
    this.#earliest = Infinity
    for (const sequences of everybody) {
      for (const sequence of sequences) {
        if (sequence.isEnded) continue
        if (sequence.timesOutAt <= now) passed.push(sequence)
        else this.watch(sequence)
      }
    }
    return passed
  }
}

/** What is said to whose time is up, while so many wait. */
export function timeoutError (sequence: Sequence, waitingCount: number, now: Millis): ServerError {
  const tookMs = Math.round(now - sequence.addedAt)
  return sequence.hasBegun
    ? new ServerError('generation_timeout', `The request was ended after ${tookMs} ms, with ${sequence.drawnTokens} tokens drawn`)
    : new ServerError('queue_timeout', `The request waited ${tookMs} ms for a free slot; ${waitingCount} requests are waiting`)
}
