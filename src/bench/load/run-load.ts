import { setTimeout as delay } from 'node:timers/promises'
import type { Millis } from '../../domain/ids.ts'
import { Random } from '../../domain/random.ts'
import type { Answer } from '../client/exchange.ts'
import type { RequestRecord } from '../measure/request-record.ts'
import { shareOut, type Mix } from '../workload/mix.ts'
import type { Conversation, Turn, Workload } from '../workload/workload.ts'
import { arrivalTimes, type ClosedLoop, type LoadShape, type OpenLoop, type RunLimit } from './load-shape.ts'

export interface Tenant {
  readonly name: string
  readonly apiKey: string
  readonly weight: number
}

/** Whom a conversation is for. */
export interface Assignment {
  readonly model: string
  readonly tenant: Tenant | null
}

export interface LoadParts {
  readonly shape: LoadShape
  readonly limit: RunLimit
  readonly workload: Workload
  readonly models: Mix<string>
  /** Null without tenants. */
  readonly tenants: Mix<Tenant> | null
  readonly seed: number
  /** Number of the first conversation: another one gives other questions. */
  readonly firstConversation: number
  /** Sends one request. Rejects only when the signal fires. */
  readonly send: (turn: Turn, assignment: Assignment, signal: AbortSignal) => Promise<Answer>
  /** The clock of the answers' moments. */
  readonly clock: () => Millis
  readonly onProgress: (progress: LoadProgress) => void
  /** Ends the run; what has been answered by then is kept, what is under way does not count. */
  readonly signal: AbortSignal
}

/** Counts that change while a run goes on; one object, the same for all calls. */
export interface LoadProgress {
  sent: number
  running: number
  completed: number
  failed: number
  outputTokens: number
}

export interface LoadResult {
  /** In order of sending. */
  readonly records: readonly RequestRecord[]
  /** When no more was sent, in ms since the run began. */
  readonly lastSentAt: Millis
  readonly maxRunning: number
  /**
   * Conversations of an open loop whose moment was within the duration of the run, but which had not begun by its end: they were
   * held back, or the generator was too late. 0 where the limit is a number of requests, all of which are sent.
   */
  readonly neverSentCount: number
  /** Conversations that the limit of the run ended before their last request. */
  readonly cutShortCount: number
  readonly wasInterrupted: boolean
}

/** Puts load on a server until the limit, and waits for the last answers. */
export async function runLoad (parts: LoadParts): Promise<LoadResult> {
  return await new LoadRun(parts).run()
}

class LoadRun {
  readonly #parts: LoadParts
  readonly #startedAt: Millis
  readonly #records: { readonly order: number, readonly record: RequestRecord }[] = []
  readonly #progress: LoadProgress = { sent: 0, running: 0, completed: 0, failed: 0, outputTokens: 0 }
  #conversations = 0
  #maxRunning = 0
  #lastSentAt = 0
  #neverSentCount = 0
  #cutShortCount = 0

  constructor (parts: LoadParts) {
    this.#parts = parts
    this.#startedAt = parts.clock()
  }

  async run (): Promise<LoadResult> {
    const { shape, signal } = this.#parts
    try {
      if (shape.type === 'closed') await this.#runClosed(shape)
      else await this.#runOpen(shape)
    } catch (error) {
      if (!signal.aborted) throw error
    }
    return {
      records: this.#records.sort((a, b) => a.order - b.order).map(({ record }) => record),
      lastSentAt: this.#lastSentAt,
      maxRunning: this.#maxRunning,
      neverSentCount: this.#neverSentCount,
      cutShortCount: this.#cutShortCount,
      wasInterrupted: signal.aborted
    }
  }

  get #now (): Millis { return this.#parts.clock() - this.#startedAt }

  get #mayStart (): boolean {
    const { limit } = this.#parts
    return limit.type === 'requests' ? this.#progress.sent < limit.count : this.#now < limit.ms
  }

  #isOverIn (waitMs: Millis): boolean {
    const { limit } = this.#parts
    return !this.#mayStart || (limit.type === 'duration' && this.#now + waitMs >= limit.ms)
  }

  #cutShort (): void { this.#cutShortCount++ }

  /** Every worker belongs to one tenant, so that tenants have their shares of the concurrency. */
  async #runClosed ({ concurrency }: ClosedLoop): Promise<void> {
    const { tenants } = this.#parts
    const workers = tenants === null
      ? Array.from({ length: concurrency }, () => null)
      : shareOut(concurrency, tenants.weights).flatMap((count, index) => Array.from({ length: count }, () => tenants.items[index]!))
    const results = await Promise.allSettled(workers.map(async (tenant) => {
      while (this.#mayStart) await this.#converse(this.#nextConversation(), tenant, null)
    }))
    // Thrown when all have ended: nothing goes on behind the caller's back.
    const failed = results.find((result) => result.status === 'rejected')
    if (failed !== undefined) throw failed.reason
  }

  async #runOpen (shape: OpenLoop): Promise<void> {
    const { limit, seed, tenants, signal, firstConversation } = this.#parts
    const arrivals = arrivalTimes(shape, limit, new Random(seed).fork(0x7fff_0002))
    const gate = new Gate(shape.maxConcurrency ?? Infinity)
    const conversations: Promise<void>[] = []
    try {
      for (const scheduledAt of arrivals) {
        if (limit.type === 'duration' ? scheduledAt >= limit.ms : this.#conversations >= limit.count) break
        const waitMs = Math.ceil(scheduledAt - this.#now)
        if (waitMs > 0) await delay(waitMs, undefined, { signal })
        signal.throwIfAborted()
        if (!this.#mayStart) {
          // Of a number of requests all were sent; all at once without a number have no end.
          if (limit.type === 'requests' || shape.rate === Infinity) break
          this.#neverSentCount++
          continue
        }
        const number = this.#nextConversation()
        const tenant = tenants?.pick(number - firstConversation) ?? null
        const conversation = gate.pass(signal, async () => {
          // The limit may have come while it waited for its turn.
          if (this.#mayStart) await this.#converse(number, tenant, scheduledAt)
          else if (limit.type === 'duration') this.#neverSentCount++
        })
        // Its error is thrown below; until then it is not unhandled.
        conversation.catch(() => {})
        conversations.push(conversation)
        // A burst shall not hold up the answers that come meanwhile.
        if (waitMs <= 0 && this.#conversations % 16 === 0) await delay(0)
      }
    } finally {
      await Promise.allSettled(conversations)
    }
    await Promise.all(conversations)
  }

  #nextConversation (): number { return this.#parts.firstConversation + this.#conversations++ }

  async #converse (number: number, tenant: Tenant | null, scheduledAt: Millis | null): Promise<void> {
    const { workload, models, firstConversation, signal } = this.#parts
    const conversation = workload.conversation(number)
    const assignment = { model: models.pick(number - firstConversation), tenant }
    let answer: string | null = null
    for (let turn = conversation.next(null); turn !== null; turn = conversation.next(answer)) {
      const isFirst = answer === null
      // The limit is of requests and their time, so it may come in the middle of a conversation; nobody thinks beyond it.
      if (!isFirst && this.#isOverIn(turn.thinkMs)) return this.#cutShort()
      if (turn.thinkMs > 0) await delay(turn.thinkMs, undefined, { signal })
      if (!isFirst && !this.#mayStart) return this.#cutShort()
      const record = await this.#request(conversation, turn, assignment, isFirst ? scheduledAt : null)
      // There is no answer to go on from.
      if (record.failure !== null) return
      answer = record.text
    }
  }

  async #request (conversation: Conversation, turn: Turn, assignment: Assignment, scheduledAt: Millis | null): Promise<RequestRecord> {
    const { send, signal, onProgress } = this.#parts
    const progress = this.#progress
    const order = progress.sent++
    progress.running++
    this.#maxRunning = Math.max(this.#maxRunning, progress.running)
    this.#lastSentAt = this.#now
    try {
      const answer = await send(turn, assignment, signal)
      const record = this.#recordOf(conversation, turn, assignment, answer, scheduledAt)
      this.#records.push({ order, record })
      if (record.failure === null) {
        progress.completed++
        progress.outputTokens += record.outputTokens ?? 0
      } else {
        progress.failed++
      }
      return record
    } finally {
      progress.running--
      onProgress(progress)
    }
  }

  #recordOf (conversation: Conversation, turn: Turn, { model, tenant }: Assignment, answer: Answer, scheduledAt: Millis | null): RequestRecord {
    const { text, choiceCount, inputTokens, outputTokens, cachedTokens } = answer
    const sentAt = answer.sentAt - this.#startedAt
    const complaint = answer.failure === null ? turn.check?.(text) ?? null : null
    return {
      model,
      tenant: tenant?.name ?? null,
      kind: conversation.kind,
      scheduledAt: scheduledAt ?? sentAt,
      sentAt,
      endedAt: answer.endedAt - this.#startedAt,
      outputTimes: answer.outputTimes.map((time) => time - this.#startedAt),
      inputTokens,
      outputTokens,
      cachedTokens,
      text,
      choiceCount,
      failure: complaint === null ? answer.failure : { kind: 'wrong answer', message: complaint }
    }
  }
}

/** Lets so many tasks run at once; the others wait in line. */
class Gate {
  #free: number
  readonly #line: (() => void)[] = []

  constructor (width: number) {
    this.#free = width
  }

  async pass (signal: AbortSignal, task: () => Promise<void>): Promise<void> {
    if (this.#free === 0) await new Promise<void>((resolve) => this.#line.push(resolve))
    else this.#free--
    try {
      signal.throwIfAborted()
      await task()
    } finally {
      const next = this.#line.shift()
      if (next === undefined) this.#free++
      else next()
    }
  }
}
