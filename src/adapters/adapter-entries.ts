import type { Millis } from '../domain/ids.ts'
import { abortError } from './abort-error.ts'
import { type AdapterEntry, toStatus } from './adapter-entry.ts'
import type { AdapterStatus } from './adapter-status.ts'
import { Changes } from './changes.ts'

export type AdapterLogger = Readonly<Record<'info' | 'warn', (details: object, message: string) => void>>

/** Counted since the start. */
export interface AdapterCounts {
  readonly loads: number
  readonly failures: number
  readonly evictions: number
  readonly unloads: number
  /** Time that loads took, from the file to memory. */
  readonly loadMs: Millis
}

/** Which adapters a model has, as those see it that share the work on them; each change is logged, and wakes who waits for one. */
export class AdapterEntries {
  readonly model: string
  readonly logger: AdapterLogger
  readonly byName = new Map<string, AdapterEntry>()
  /** Unloaded, and still in memory for requests, or on the way there. */
  readonly leaving = new Set<AdapterEntry>()
  readonly counts = { loads: 0, failures: 0, evictions: 0, unloads: 0, loadMs: 0 } satisfies AdapterCounts
  readonly #changes = new Changes()

  constructor (model: string, logger: AdapterLogger) {
    this.model = model
    this.logger = logger
  }

  /** Those that can be asked for, in the order of their numbers, then those that are leaving. */
  all (): readonly AdapterEntry[] {
    return [...this.byName.values(), ...this.leaving]
  }

  /** Forgets an unloaded adapter once nothing of it is in memory, nor on its way there. */
  forgetIfGone (entry: AdapterEntry): void {
    if (entry.old.size === 0 && entry.arriving === null) this.leaving.delete(entry)
  }

  statusOf (entry: AdapterEntry): AdapterStatus {
    return toStatus(this.model, entry, Date.now())
  }

  /** Settles at the next change of anything. @throws what the signal was aborted with */
  async nextChange (signal: AbortSignal): Promise<void> {
    await this.#changes.next(signal).catch(() => { throw abortError(signal) })
  }

  notify (): void {
    this.#changes.notify()
  }

  /** Tells that the state of an adapter has changed. */
  changed (entry: AdapterEntry, message: string, details: object = {}, level: 'info' | 'warn' = 'info'): void {
    const { name, state, generation, inFlight, residentBytes, loadMs } = this.statusOf(entry)
    this.logger[level]({ model: this.model, adapter: name, state, generation, inFlight, residentBytes, loadMs: loadMs === null ? null : Math.round(loadMs), ...details }, message)
    this.#changes.notify()
  }
}
