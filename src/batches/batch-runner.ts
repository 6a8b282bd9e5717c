import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import type { Caller, CallerIdentity } from '../access/caller.ts'
import { ServerError } from '../domain/errors.ts'
import { type Batch, type BatchEndpoint, type BatchEnding, type BatchUsage, nextStep, openStatuses } from './batch.ts'
import type { BatchJobs } from './batch-jobs.ts'
import { type BatchLine, isSuccess, type LineResult, type ReturnedLine } from './batch-line.ts'
import type { BatchStore } from './batch-store.ts'
import { shareLines } from './line-shares.ts'
import type { LineStore } from './line-store.ts'
import { lineIdOf } from './result-line.ts'
import { verdictOf } from './verdict.ts'

/** What the request of a line was answered. */
export interface LineOutcome {
  readonly statusCode: number
  /** JSON in one line of text. */
  readonly response: string
  /** Null for an answer that is no error. */
  readonly errorCode: string | null
  readonly retryAfterMs: number | null
  readonly usage: BatchUsage
}

export interface LineRun {
  readonly endpoint: BatchEndpoint
  readonly body: string
  readonly requestId: string
  readonly caller: Caller
  readonly signal: AbortSignal
}

export interface LineCapacity {
  /** What lines share; the model that they run on. */
  readonly group: string
  /** Most lines of it that may be under way here; 0 while none can run. */
  readonly lines: number
}

/** What was done since the start, and what there is to do in all servers of the database. */
export interface BatchCounts {
  completed: number
  failed: number
  retried: number
  waiting: number
  readonly open: Record<typeof openStatuses[number], number>
  readonly ended: Record<BatchEnding, number>
}

export interface BatchRunnerOptions {
  readonly batches: BatchStore
  readonly lines: LineStore
  readonly jobs: BatchJobs
  /** Runs one request, as its caller would. Does not reject. */
  readonly runLine: (run: LineRun) => Promise<LineOutcome>
  /** @throws ServerError `invalid_api_key` for work that nobody may go on with, `storage_unavailable` */
  readonly recall: (identity: CallerIdentity) => Promise<Caller>
  readonly capacityOf: (model: string) => LineCapacity
  /** Is kept up to date. */
  readonly counts: BatchCounts
  readonly logger: { info (details: object, message: string): void, warn (details: object, message: string): void }
  /** Milliseconds since 1970. */
  readonly now?: () => number
  /** How long a server that has died keeps the lines that it ran. */
  readonly leaseMs?: number
  /** How often it looks for what other servers have done, while there are batches and while there are none. */
  readonly pollMs?: number
  readonly idlePollMs?: number
}

const defaultLeaseMs = 15_000
const defaultPollMs = 1000
const defaultIdlePollMs = 5000

/** How long a result waits for others that share its commit. */
const gatherMs = 20

/** After the database has failed. */
const failureMs = 2000

interface UnderWay {
  readonly line: BatchLine
  readonly batch: Batch
  readonly group: string
  readonly controller: AbortController
  /** When it was last claimed or kept. */
  leasedAt: number
}

/**
 * Runs batches in the time that is left. Everything that has to outlive the process is in the database before the next thing is done: servers
 * that share it, and those that come after this one, go on where it stopped.
 */
export class BatchRunner {
  /** Names this server in the database. */
  readonly #worker = randomUUID()
  readonly #options: Required<BatchRunnerOptions>
  readonly #underWay = new Map<string, UnderWay>()
  /** When lines of a batch may be begun again, after a server that was busy. */
  readonly #pausedUntil = new Map<string, number>()
  #results: LineResult[] = []
  #returned: ReturnedLine[] = []
  #job: { readonly batchId: string, leasedAt: number, readonly ended: Promise<void> } | null = null
  #wake: () => void = () => {}
  #isWoken = false
  #isStopping = false
  readonly #stopping = new AbortController()
  #loop: Promise<void> | null = null

  constructor (options: BatchRunnerOptions) {
    this.#options = { now: Date.now, leaseMs: defaultLeaseMs, pollMs: defaultPollMs, idlePollMs: defaultIdlePollMs, ...options }
  }

  start (): void {
    this.#loop ??= this.#run()
  }

  /** To be called when there is something new to do. */
  wake (): void {
    this.#isWoken = true
    this.#wake()
  }

  /** Begins nothing more, gives up lines that run, and settles when the database knows. They run again elsewhere, or after a restart. */
  async stop (): Promise<void> {
    this.#isStopping = true
    this.#stopping.abort()
    for (const { controller } of this.#underWay.values()) controller.abort()
    this.wake()
    await this.#loop
  }

  async #run (): Promise<void> {
    while (!this.#isStopping) {
      this.#isWoken = false
      try {
        const pauseMs = await this.#turn()
        if (!this.#isWoken) await this.#sleep(pauseMs)
      } catch (error) {
        this.#options.logger.warn({ err: error }, 'batches cannot go on')
        await delay(failureMs, undefined, { signal: this.#stopping.signal, ref: false }).catch(() => {})
      }
    }
    await this.#job?.ended
    while (this.#underWay.size > 0) await this.#sleep(failureMs)
    await this.#settle().catch((error: unknown) => this.#options.logger.warn({ err: error }, 'results of batches could not be written; their lines run again'))
  }

  /** @returns how long to wait for the next one */
  async #turn (): Promise<number> {
    if (this.#results.length > 0) await delay(gatherMs)
    await this.#settle()
    await this.#keep()
    const batches = await this.#options.batches.open()
    this.#count(batches)
    const now = this.#options.now()
    const runnable = batches.filter((batch) => nextStep(batch, now) === 'run')
    this.#giveUpAllBut(runnable)
    if (this.#isStopping) return 0
    await this.#startJob(batches, now)
    await this.#begin(runnable)
    return batches.length > 0 ? this.#options.pollMs : this.#options.idlePollMs
  }

  /** Until the time is over, or something wakes it. */
  async #sleep (milliseconds: number): Promise<void> {
    const timer = new AbortController()
    await Promise.race([
      delay(milliseconds, undefined, { signal: timer.signal, ref: false }).catch(() => {}),
      new Promise<void>((resolve) => { this.#wake = resolve })
    ])
    timer.abort()
  }

  /** Hands the database what lines have come to. What it does not take is tried again. */
  async #settle (): Promise<void> {
    const [results, returned] = [this.#results, this.#returned]
    this.#results = []
    this.#returned = []
    try {
      for (const { statusCode } of await this.#options.lines.settle(this.#worker, results, returned)) this.#options.counts[isSuccess(statusCode) ? 'completed' : 'failed']++
    } catch (error) {
      this.#results.unshift(...results)
      this.#returned.unshift(...returned)
      throw error
    }
  }

  /** Lengthens the leases of what takes long. */
  async #keep (): Promise<void> {
    const { batches, lines, leaseMs, now } = this.#options
    const due = now() - leaseMs / 3
    const old = [...this.#underWay.values()].filter(({ leasedAt }) => leasedAt <= due)
    await lines.renew(old.map(({ line }) => line), this.#worker, leaseMs)
    for (const each of old) each.leasedAt = now()
    if (this.#job !== null && this.#job.leasedAt <= due) {
      await batches.lease(this.#job.batchId, this.#worker, leaseMs)
      this.#job.leasedAt = now()
    }
  }

  #count (batches: readonly Batch[]): void {
    const { counts } = this.#options
    for (const status of openStatuses) counts.open[status] = batches.filter((batch) => batch.status === status).length
    counts.waiting = batches.reduce((sum, { status, total, completed, failed }) => sum + (status === 'in_progress' ? total - completed - failed : 0), 0)
  }

  #giveUpAllBut (runnable: readonly Batch[]): void {
    const ids = new Set(runnable.map(({ id }) => id))
    for (const { batch, controller } of this.#underWay.values()) if (!ids.has(batch.id)) controller.abort()
    for (const id of this.#pausedUntil.keys()) if (!ids.has(id)) this.#pausedUntil.delete(id)
  }

  /** One at a time: looking at an input, or writing files, is work for the event loop. */
  async #startJob (open: readonly Batch[], now: number): Promise<void> {
    if (this.#job !== null) return
    const { batches, jobs, leaseMs, logger } = this.#options
    const isRunning = (id: string): boolean => [...this.#underWay.values()].some(({ batch }) => batch.id === id)
    for (const { id, ...batch } of open) {
      const step = nextStep(batch, now)
      if ((step !== 'end' && step !== 'validate') || isRunning(id)) continue
      const leased = await batches.lease(id, this.#worker, leaseMs)
      if (leased === null) continue
      const signal = this.#stopping.signal
      const work = async (): Promise<void> => {
        if (step === 'validate') {
          const isGood = await jobs.validate(leased, this.#worker, signal)
          if (isGood === false) this.#options.counts.ended.failed++
        } else {
          const ending = await jobs.end(leased, this.#worker, signal)
          if (ending !== null) this.#options.counts.ended[ending]++
        }
      }
      const ended = work()
        .catch((error: unknown) => logger.warn({ err: error, batch: id }, 'a batch cannot go on'))
        .then(async () => await batches.release(id, this.#worker).catch(() => {}))
        .then(() => {
          this.#job = null
          this.wake()
        })
      this.#job = { batchId: id, leasedAt: now, ended }
      return
    }
  }

  /** Begins as many lines as there is room for. */
  async #begin (runnable: readonly Batch[]): Promise<void> {
    const { batches, capacityOf, lines, leaseMs, now, recall } = this.#options
    const groups = new Map<string, LineCapacity>()
    for (const { id, model } of runnable) groups.set(id, capacityOf(model ?? ''))
    const running = [...this.#underWay.values()]
    const wishes = runnable.filter(({ id }) => (this.#pausedUntil.get(id) ?? 0) <= now()).map(({ id, tenant }) => ({
      id, tenant, group: groups.get(id)?.group ?? '', underWay: running.filter(({ batch }) => batch.id === id).length
    }))
    const freeOf = (wanted: string): number => {
      const most = [...groups.values()].find(({ group }) => group === wanted)?.lines ?? 0
      return most - running.filter(({ group }) => group === wanted).length
    }
    const shares = shareLines(wishes, freeOf)
    for (const batch of runnable) {
      const { id } = batch
      const count = shares.get(id) ?? 0
      // Lines that run are not to outlive their key either.
      if (count === 0 && !running.some((each) => each.batch.id === id)) continue
      const caller = await this.#callerOf(batch, recall, batches)
      if (caller === null || count === 0) continue
      for (const line of await lines.claim(id, this.#worker, count, leaseMs)) this.#start(batch, line, caller, groups.get(id)?.group ?? '')
    }
  }

  /** @returns null when nobody may go on with it, which ends it */
  async #callerOf (batch: Batch, recall: BatchRunnerOptions['recall'], batches: BatchStore): Promise<Caller | null> {
    try {
      return { ...await recall(batch), priority: 'batch', highestPriority: 'batch', isBatch: true }
    } catch (error) {
      if (!(error instanceof ServerError) || error.code !== 'invalid_api_key') throw error
      await batches.stop(batch.id, { code: error.code, message: error.message, param: null, line: null })
      this.wake()
      return null
    }
  }

  #start (batch: Batch, line: BatchLine, caller: Caller, group: string): void {
    const key = `${batch.id} ${line.line}`
    // One whose lease ran out while the database was silent is still running; whichever ends first counts.
    if (this.#underWay.has(key)) return
    const controller = new AbortController()
    if (this.#isStopping) controller.abort()
    this.#underWay.set(key, { line, batch, group, controller, leasedAt: this.#options.now() })
    const requestId = lineIdOf(batch.id, line.line)
    const end = (outcome: LineOutcome | null): void => {
      this.#underWay.delete(key)
      this.#take(line, requestId, outcome, controller.signal.aborted)
      this.wake()
    }
    this.#options.runLine({ endpoint: batch.endpoint, body: line.request, requestId, caller, signal: controller.signal }).then(end, () => end(null))
  }

  #take ({ batchId, line, attempts }: BatchLine, requestId: string, outcome: LineOutcome | null, wasGivenUp: boolean): void {
    const now = this.#options.now()
    if (outcome === null || (wasGivenUp && !isSuccess(outcome.statusCode))) {
      this.#returned.push({ batchId, line, availableAt: now, isAttempt: outcome === null })
      return
    }
    const verdict = verdictOf(outcome, attempts)
    if (verdict.type === 'again') {
      this.#options.counts.retried++
      this.#returned.push({ batchId, line, availableAt: now + verdict.afterMs, isAttempt: verdict.isAttempt })
      if (!verdict.isAttempt) this.#pausedUntil.set(batchId, now + verdict.afterMs)
      return
    }
    const { statusCode, response, usage } = outcome
    this.#results.push({ batchId, line, statusCode, requestId, response, usage })
  }
}
