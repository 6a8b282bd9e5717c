import type { Millis } from '../domain/ids.ts'

export interface RestartTimes {
  /** Delay of the first restart. */
  readonly initialDelayMs: Millis
  /** Each further one waits twice as long, up to this. */
  readonly maxDelayMs: Millis
  /** A process that was ready for this long was fine: the delays begin anew. */
  readonly stableAfterMs: Millis
}

const defaults: RestartTimes = { initialDelayMs: 100, maxDelayMs: 30_000, stableAfterMs: 60_000 }

/** When to start the next process after one has died: soon, but ever less soon while they keep dying. */
export class RestartSchedule {
  readonly #times: RestartTimes
  #delayMs: Millis
  #readyAt: Millis | null = null
  #timer: NodeJS.Timeout | null = null

  constructor (times: Partial<RestartTimes>) {
    this.#times = { ...defaults, ...times }
    this.#delayMs = this.#times.initialDelayMs
  }

  ready (now: Millis): void {
    this.#readyAt = now
  }

  /** @returns the delay after which `restart` is called. */
  crashed (now: Millis, restart: () => void): Millis {
    const { initialDelayMs, maxDelayMs, stableAfterMs } = this.#times
    if (this.#readyAt !== null && now - this.#readyAt >= stableAfterMs) this.#delayMs = initialDelayMs
    this.#readyAt = null
    const delayMs = Math.min(this.#delayMs, maxDelayMs)
    this.#delayMs = Math.min(delayMs * 2, maxDelayMs)
    this.#timer = setTimeout(restart, delayMs)
    return delayMs
  }

  cancel (): void {
    if (this.#timer !== null) clearTimeout(this.#timer)
    this.#timer = null
  }
}
