import type { Millis } from '../domain/ids.ts'
import type { InferenceSnapshot } from './inference.ts'
import type { WireSnapshot } from './protocol.ts'
import { isQuiet } from './snapshot-publisher.ts'

/** Which numbers only ever grow. A new counter fails to compile until it is named here; so does a new gauge below. */
const counters = {
  stepSeconds: true,
  steps: true,
  adapterSwitches: true,
  promptTokens: true,
  embeddedInputs: true,
  prefixQueriedTokens: true,
  prefixHitTokens: true,
  drawnTokens: true,
  guessedTokens: true,
  rightGuesses: true,
  draftedTokens: true,
  rightDrafts: true,
  cachesParked: true,
  cachesRestored: true,
  restoredTokens: true,
  cachesEvicted: true,
  preempted: true,
  recomputedTokens: true,
  added: true,
  finished: true,
  failed: true,
  aborted: true
} satisfies Record<Exclude<keyof InferenceSnapshot, Gauge>, true>

type Gauge =
  'waiting' | 'displaced' | 'running' | 'lanes' | 'contextSize' | 'lastStepAt' | 'requests' | 'parkedCaches' | 'parkedBytes'
type Counter = keyof typeof counters
const counterNames = Object.keys(counters) as Counter[]

const nothingYet: InferenceSnapshot = {
  waiting: 0,
  displaced: 0,
  running: 0,
  lanes: [],
  contextSize: 0,
  lastStepAt: null,
  requests: 0,
  stepSeconds: 0,
  steps: 0,
  adapterSwitches: 0,
  promptTokens: 0,
  embeddedInputs: 0,
  prefixQueriedTokens: 0,
  prefixHitTokens: 0,
  drawnTokens: 0,
  guessedTokens: 0,
  rightGuesses: 0,
  draftedTokens: 0,
  rightDrafts: 0,
  parkedCaches: 0,
  parkedBytes: 0,
  cachesParked: 0,
  cachesRestored: 0,
  restoredTokens: 0,
  cachesEvicted: 0,
  preempted: 0,
  recomputedTokens: 0,
  added: 0,
  finished: 0,
  failed: 0,
  aborted: 0
}

/**
 * The numbers of a model over all engine processes it had: counters go on where a dead process left them, gauges are those
 * of the process that lives.
 */
export class SnapshotLedger {
  /** Sums over the dead processes. */
  #past: InferenceSnapshot = nothingYet
  #current: InferenceSnapshot = nothingYet

  /** Whether the process had nothing to do when it last reported. */
  get isQuiet (): boolean { return isQuiet(this.#current) }

  /** A new process reports for the first time. */
  begin (snapshot: WireSnapshot, now: Millis): void {
    this.take(snapshot, now)
  }

  /**
   * @param now this process's clock, to which `lastStepAt` is translated.
   * @returns whether a step was completed since the last report.
   */
  take ({ now: sentAt, numbers }: WireSnapshot, now: Millis): boolean {
    const hasStepped = numbers.steps !== this.#current.steps
    const lastStepAt = numbers.lastStepAt === null ? null : now - (sentAt - numbers.lastStepAt)
    this.#current = { ...numbers, lastStepAt }
    return hasStepped
  }

  /** The process is gone: its counters stay, its slots are free, its caches lost. */
  interrupt (): void {
    this.#past = { ...nothingYet, ...this.#sums() }
    const { contextSize, lastStepAt, lanes } = this.#current
    this.#current = {
      ...nothingYet,
      contextSize,
      lastStepAt,
      lanes: lanes.map((lane) => ({ ...lane, busySlots: 0, isStepping: false, cachedTokens: 0 }))
    }
  }

  /**
   * @param requests in this process.
   * @param waiting sequences that wait for a process.
   */
  total (requests: number, waiting: number): InferenceSnapshot {
    return { ...this.#current, ...this.#sums(), waiting: this.#current.waiting + waiting, requests }
  }

  #sums (): Pick<InferenceSnapshot, Counter> {
    return Object.fromEntries(counterNames.map((name) => [name, this.#past[name] + this.#current[name]])) as
      Record<Counter, number>
  }
}
