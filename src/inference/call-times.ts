import { ServerError } from '../domain/errors.ts'
import type { Millis } from '../domain/ids.ts'

/** How far behind its deadline an engine process may end a request before it is ended here. */
const DEADLINE_GRACE_MS = 5000

/** The longest time that travels; infinities do not. */
const LONGEST_MS = Number.MAX_SAFE_INTEGER

/** What a request allows itself. */
export interface TimeLimits {
  readonly queueTimeoutMs: Millis
  readonly timeoutMs: Millis
}

/** The times of a request that an engine process answers, and that outlives the process if it must. */
export class CallTimes {
  readonly #limits: TimeLimits
  readonly #arrivedAt: Millis
  #waitingSince: Millis

  constructor ({ queueTimeoutMs, timeoutMs }: TimeLimits, now: Millis) {
    this.#limits = { queueTimeoutMs, timeoutMs }
    this.#arrivedAt = now
    this.#waitingSince = now
  }

  /** From now on it waits for another process. */
  park (now: Millis): void { this.#waitingSince = now }

  /** Ends it while it waits for a process. */
  waitingFailure (now: Millis): ServerError | null {
    const { queueTimeoutMs } = this.#limits
    if (now - this.#waitingSince >= queueTimeoutMs) {
      return new ServerError('queue_timeout',
        `The engine process of the model is being restarted; the request waited ${queueTimeoutMs} ms for it`)
    }
    return this.#timeout(now, 0)
  }

  /** Ends it although a process has it. */
  overdueFailure (now: Millis): ServerError | null {
    return this.#timeout(now, DEADLINE_GRACE_MS)
  }

  /** What is left, for the process. */
  left (now: Millis): TimeLimits {
    const { queueTimeoutMs, timeoutMs } = this.#limits
    return {
      queueTimeoutMs: Math.min(queueTimeoutMs - (now - this.#waitingSince), LONGEST_MS),
      timeoutMs: Math.min(timeoutMs - (now - this.#arrivedAt), LONGEST_MS)
    }
  }

  #timeout (now: Millis, graceMs: Millis): ServerError | null {
    const { timeoutMs } = this.#limits
    if (now - this.#arrivedAt < timeoutMs + graceMs) return null
    return new ServerError('generation_timeout', `The request did not end within ${timeoutMs} ms`)
  }
}
