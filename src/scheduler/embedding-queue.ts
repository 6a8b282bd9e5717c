import { ServerError } from '../domain/errors.ts'
import type { Millis, RequestId, TenantId, Token } from '../domain/ids.ts'
import { type Priority, rankOf } from '../domain/priority.ts'
import { EmbeddingLine, type EmbeddingJob } from './embedding-line.ts'
import type { SchedulerConfig } from './scheduler-types.ts'

export type EmbeddingLimits = Pick<SchedulerConfig, 'maxQueue' | 'maxQueuePerTenant' | 'maxQueueTokens' | 'policy'>

export interface NewEmbedding {
  readonly id: RequestId
  readonly tenant: TenantId
  /** The tenant's share of the service, relative to others, above 0; 1 where nothing is said. */
  readonly weight?: number
  /** `normal` where nothing is said. */
  readonly priority?: Priority
  /** At least one; each is computed in a step of its own. */
  readonly inputs: readonly (readonly Token[])[]
  /** It ends with `queue_timeout` when none of its inputs had its turn by then. */
  readonly queueDeadline: Millis
  /** It ends with `generation_timeout` when it has not ended by then. */
  readonly deadline: Millis
}

/** An input whose turn it is. */
export interface EmbeddingTurn {
  readonly id: RequestId
  readonly index: number
  readonly tokens: readonly Token[]
  /** What the request waited for its first turn. */
  readonly queuedMs: Millis
}

/** A request that ends with an error. */
export interface FailedEmbedding {
  readonly id: RequestId
  readonly error: ServerError
}

/** Inputs wait in memory as tokens; where no other limit is set, so many of them do. */
const DEFAULT_MOST_TOKENS = 4 * 1024 * 1024

/**
 * The requests whose texts become vectors, input by input: the most urgent class first, within it the tenant that was served the fewest
 * tokens for its weight, of that its oldest request. As pure as the scheduler: no clock, no randomness, and the same calls give the
 * same turns.
 */
export class EmbeddingQueue {
  #limits: EmbeddingLimits
  readonly #jobs = new Map<RequestId, EmbeddingJob>()
  /** By the rank of their class. */
  readonly #lines: readonly EmbeddingLine[]
  #waiting = 0
  #waitingTokens = 0

  constructor (limits: EmbeddingLimits) {
    this.#limits = limits
    this.#lines = (['interactive', 'normal', 'batch'] as const).map(() => new EmbeddingLine(limits.policy === 'fair'))
  }

  /** Holds for those that come from now on. */
  limit (limits: Omit<EmbeddingLimits, 'policy'>): void {
    this.#limits = { ...limits, policy: this.#limits.policy }
  }

  /** Requests that have not ended. */
  get size (): number { return this.#jobs.size }

  /** Requests of which no input had its turn. */
  get waiting (): number { return this.#waiting }

  /**
   * @returns who has to go for it, because the queue is full and its tenant has more waiting than the newcomer's
   * @throws ServerError `queue_full`
   */
  add (embedding: NewEmbedding, now: Millis): readonly FailedEmbedding[] {
    const job: EmbeddingJob = {
      id: embedding.id,
      tenant: embedding.tenant,
      weight: embedding.weight ?? 1,
      rank: rankOf(embedding.priority ?? 'normal'),
      inputs: embedding.inputs,
      tokens: embedding.inputs.reduce((sum, { length }) => sum + length, 0),
      addedAt: now,
      queueDeadline: embedding.queueDeadline,
      deadline: embedding.deadline,
      next: 0,
      queuedMs: null
    }
    const turnedAway = this.#makeRoom(job)
    this.#jobs.set(job.id, job)
    this.#lineOf(job).join(job)
    this.#waiting++
    this.#waitingTokens += job.tokens
    return turnedAway
  }

  /** Whose turn it is; null when no input waits. */
  next (now: Millis): EmbeddingTurn | null {
    for (const line of this.#lines) {
      const job = line.next()
      if (job === null) continue
      const index = job.next
      const tokens = job.inputs[index] ?? []
      if (job.queuedMs === null) {
        job.queuedMs = now - job.addedAt
        this.#noteBegun(job)
      }
      line.serve(job, tokens.length)
      return { id: job.id, index, tokens, queuedMs: job.queuedMs }
    }
    return null
  }

  /** It has ended, in whatever way. Unknown ones are ignored. */
  remove (id: RequestId): void {
    const job = this.#jobs.get(id)
    if (job === undefined) return
    this.#jobs.delete(id)
    this.#lineOf(job).leave(job)
    if (job.queuedMs === null) this.#noteBegun(job)
  }

  /** Those whose time is up; they are out of the queue. */
  expire (now: Millis): readonly FailedEmbedding[] {
    const expired: FailedEmbedding[] = []
    for (const { id, addedAt, deadline, queueDeadline, queuedMs } of this.#jobs.values()) {
      const tookMs = Math.round(now - addedAt)
      if (now >= deadline) {
        expired.push({ id, error: new ServerError('generation_timeout', `The request was ended after ${tookMs} ms`) })
      } else if (queuedMs === null && now >= queueDeadline) {
        expired.push({ id, error: new ServerError('queue_timeout', `The request waited ${tookMs} ms for its turn; ${this.#waiting} requests are waiting`) })
      }
    }
    for (const { id } of expired) this.remove(id)
    return expired
  }

  #noteBegun (job: EmbeddingJob): void {
    this.#waiting--
    this.#waitingTokens -= job.tokens
  }

  #lineOf ({ rank }: EmbeddingJob): EmbeddingLine {
    return this.#lines[rank] as EmbeddingLine
  }

  #makeRoom (job: EmbeddingJob): readonly FailedEmbedding[] {
    const { maxQueue, maxQueuePerTenant = Infinity, maxQueueTokens = DEFAULT_MOST_TOKENS } = this.#limits
    const counts = this.#waitingByTenant()
    const own = counts.get(job.tenant) ?? 0
    if (own >= maxQueuePerTenant) {
      throw new ServerError('queue_full', `${own} of your requests are waiting; the limit is ${maxQueuePerTenant} for each user`)
    }
    if (this.#waiting > 0 && this.#waitingTokens + job.tokens > maxQueueTokens) {
      throw new ServerError('queue_full', `${this.#waiting} requests are waiting; the limit is ${maxQueueTokens} tokens, and their inputs have ${this.#waitingTokens}`)
    }
    if (this.#waiting < maxQueue) return []
    const message = `${this.#waiting} requests are waiting; the limit is ${maxQueue}`
    const [largest, count] = [...counts].reduce((most, other) => other[1] > most[1] ? other : most, [job.tenant, own])
    if (this.#limits.policy !== 'fair' || count <= own + 1) throw new ServerError('queue_full', message)
    const victim = [...this.#jobs.values()].findLast(({ tenant, queuedMs }) => tenant === largest && queuedMs === null)
    if (victim === undefined) throw new ServerError('queue_full', message)
    this.remove(victim.id)
    return [{ id: victim.id, error: new ServerError('queue_full', `${message}, and others have fewer of them`) }]
  }

  #waitingByTenant (): ReadonlyMap<TenantId, number> {
    const counts = new Map<TenantId, number>()
    for (const { tenant, queuedMs } of this.#jobs.values()) if (queuedMs === null) counts.set(tenant, (counts.get(tenant) ?? 0) + 1)
    return counts
  }
}
