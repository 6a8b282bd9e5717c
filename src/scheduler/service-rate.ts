import type { Millis } from '../domain/ids.ts'

/** Rates are taken over windows of at least this length. */
const windowMs = 2000
/** How much the latest window counts against those before it. */
const newest = 0.4
/** OpenAI's clients obey no longer times. */
const longestMs = 60_000
const shortestMs = 250

/** How fast sequences leave their slots, to tell those who are turned away when to come back. */
export class ServiceRate {
  #left = 0
  #windowStart: Millis | null = null
  /** Sequences per millisecond; null before the first window has ended. */
  #rate: number | null = null

  /** A sequence gave its slot back. */
  noteLeft (): void { this.#left++ }

  /** Time has passed; call it often. */
  advance (now: Millis): void {
    this.#windowStart ??= now
    const elapsedMs = now - this.#windowStart
    if (elapsedMs < windowMs) return
    const latest = this.#left / elapsedMs
    this.#rate = this.#rate === null ? latest : this.#rate + newest * (latest - this.#rate)
    this.#left = 0
    this.#windowStart = now
  }

  /** When so many will have left, in ms, from 250 ms to a minute; null before anything was seen. */
  timeFor (count: number): Millis | null {
    if (this.#rate === null) return null
    return Math.min(longestMs, Math.max(shortestMs, Math.round(count / this.#rate)))
  }
}
