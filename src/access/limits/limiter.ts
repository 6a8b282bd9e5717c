import type { Millis } from '../../domain/ids.ts'
import { SharedWork } from '../storage/shared-work.ts'
import type { Ask, Rates, Refusal } from './admission.ts'
import type { LimitStore, StatesAt, Verdict } from './limit-store.ts'
import type { Settlement } from './settlement.ts'
import type { SubjectLimits } from './subjects.ts'

export interface LimiterOptions {
  readonly store: LimitStore
  readonly logger: { warn (details: object, message: string): void }
  /** Monotonic clock in milliseconds. */
  readonly now: () => Millis
}

/** Most asks of one transaction. */
const mostAsks = 64

/** Well within the time that a silent replica's reservations count. */
const keepAliveMs = 15_000

/** Reservations that have ended and wait for the database; the oldest go first, and end with this process at the latest. */
const mostEnded = 100_000

/** Subjects whose refusals are remembered; when there are more, all are forgotten. */
const mostRemembered = 10_000

/**
 * Lets requests in as limits allow. Those that ask while others are decided on are decided on together, so that however many there are, the database has one
 * short transaction at a time.
 */
export class Limiter {
  readonly #options: LimiterOptions
  readonly #keepingAlive: NodeJS.Timeout
  /** Buckets of requests that are known to be empty: nothing is ever given back to them, so nobody has to look. */
  readonly #empty = new Map<string, { readonly perMinute: number, readonly until: Millis, readonly refusal: Refusal, readonly rates: Rates }>()
  readonly #deciding: SharedWork<Ask, Verdict>
  readonly #ended: Settlement[] = []
  #isReleasing = false
  #releasing: Promise<void> = Promise.resolve()

  constructor (options: LimiterOptions) {
    this.#options = options
    this.#deciding = new SharedWork({ run: async (asks) => await this.#decide(asks), most: mostAsks })
    this.#keepingAlive = setInterval(() => {
      options.store.keepAlive().catch((error: unknown) => options.logger.warn({ err: error }, 'reservations cannot be kept alive'))
      this.#startReleasing()
    }, keepAliveMs).unref()
  }

  /**
   * What is known to be refused without another look: costs next to nothing, so that it can be asked before anything is read of a request.
   * @returns null where it has to be decided
   */
  findRefusal (subjects: readonly SubjectLimits[]): Verdict | null {
    if (this.#empty.size === 0) return null
    const now = this.#options.now()
    for (const { subject, limits: { requestsPerMinute } } of subjects) {
      const known = this.#empty.get(subject)
      if (known === undefined) continue
      const leftMs = known.until - now
      if (leftMs > 0 && known.perMinute === requestsPerMinute) return { refusal: { ...known.refusal, retryAfterMs: Math.ceil(leftMs) }, rates: known.rates }
      this.#empty.delete(subject)
    }
    return null
  }

  /** @throws ServerError `storage_unavailable` */
  async reserve (ask: Ask): Promise<Verdict> {
    return await this.#deciding.do(ask)
  }

  /** Ends a reservation that no row of the ledger ends. Nobody waits for it; where the database gives no answer it is tried again. */
  release (settlement: Settlement): void {
    if (settlement.taken.length === 0 && settlement.spending === null && !settlement.hasReservation) return
    this.#ended.push(settlement)
    if (this.#ended.length > mostEnded) this.#ended.shift()
    this.#startReleasing()
  }

  /** What is known of the subjects. @throws ServerError `storage_unavailable` */
  async read (subjects: readonly string[]): Promise<StatesAt> {
    return await this.#options.store.read(subjects)
  }

  /** Removes what no longer counts. Never rejects. */
  async sweep (): Promise<void> {
    await this.#options.store.sweep().catch((error: unknown) => this.#options.logger.warn({ err: error }, 'what is old of limits could not be removed'))
  }

  /** Lets what has begun end. */
  async close (): Promise<void> {
    clearInterval(this.#keepingAlive)
    await this.#deciding.idle()
    this.#startReleasing()
    await this.#releasing
  }

  #startReleasing (): void {
    if (!this.#isReleasing && this.#ended.length > 0) this.#releasing = this.#releaseAll()
  }

  async #releaseAll (): Promise<void> {
    this.#isReleasing = true
    while (this.#ended.length > 0) {
      const batch = this.#ended.splice(0, mostAsks)
      try {
        await this.#options.store.settle(batch)
      } catch (error) {
        this.#options.logger.warn({ err: error }, 'reservations cannot be ended; this is tried again')
        this.#ended.unshift(...batch)
        break
      }
    }
    this.#isReleasing = false
  }

  async #decide (asks: readonly Ask[]): Promise<readonly Verdict[]> {
    const verdicts = await this.#options.store.reserve(asks)
    for (const [index, ask] of asks.entries()) this.#remember(ask, verdicts[index]!)
    return verdicts
  }

  #remember ({ isBatch }: Ask, { refusal, rates }: Verdict): void {
    if (isBatch || refusal?.limit !== 'requestsPerMinute' || refusal.retryAfterMs === null) return
    if (this.#empty.size >= mostRemembered) this.#empty.clear()
    this.#empty.set(refusal.subject, { perMinute: refusal.most, until: this.#options.now() + refusal.retryAfterMs, refusal, rates })
  }
}
