import type { Millis, RequestId, TenantId, Token } from '../domain/ids.ts'

/** A request in an embedding queue. */
export interface EmbeddingJob {
  readonly id: RequestId
  readonly tenant: TenantId
  readonly weight: number
  readonly rank: number
  readonly inputs: readonly (readonly Token[])[]
  /** Of all inputs. */
  readonly tokens: number
  readonly addedAt: Millis
  readonly queueDeadline: Millis
  readonly deadline: Millis
  /** The input whose turn is next. */
  next: number
  /** What it waited for its first turn; null before that. */
  queuedMs: Millis | null
}

interface Tenant {
  /** Those with inputs that wait, the oldest first. */
  readonly jobs: Set<EmbeddingJob>
  /** Tokens served, divided by the tenant's weight. */
  counter: number
}

/**
 * The requests of one class. Turns go to the tenant with the smallest counter of tokens, as the admission of generations does it
 * (`policies/fair-share.ts`); who was away has saved nothing up.
 */
export class EmbeddingLine {
  readonly #isFair: boolean
  readonly #tenants = new Map<TenantId, Tenant>()
  /** Requests with inputs that wait, in order of arrival. */
  readonly #jobs = new Set<EmbeddingJob>()
  /** The counter of the tenant that was served last, before it was charged; nobody comes in below. */
  #floor = 0
  /** So many tenants are looked through for such as need not be kept. */
  #sweepAt = 64

  /** @param isFair otherwise requests are served in order of arrival */
  constructor (isFair: boolean) {
    this.#isFair = isFair
  }

  join (job: EmbeddingJob): void {
    const tenant = this.#tenantOf(job)
    if (tenant.jobs.size === 0) tenant.counter = Math.max(tenant.counter, this.#floor)
    tenant.jobs.add(job)
    this.#jobs.add(job)
  }

  /** Whose turn it is; null when there is nobody. */
  next (): EmbeddingJob | null {
    if (!this.#isFair) return first(this.#jobs)
    let best: Tenant | null = null
    for (const tenant of this.#tenants.values()) {
      if (tenant.jobs.size > 0 && (best === null || tenant.counter < best.counter)) best = tenant
    }
    return best === null ? null : first(best.jobs)
  }

  /** Its next input has its turn; it leaves with the last one. */
  serve (job: EmbeddingJob, tokens: number): void {
    const tenant = this.#tenantOf(job)
    this.#floor = Math.max(this.#floor, tenant.counter)
    tenant.counter += tokens / job.weight
    job.next++
    if (job.next === job.inputs.length) this.leave(job)
  }

  /** No input of it waits any more. */
  leave (job: EmbeddingJob): void {
    this.#jobs.delete(job)
    this.#tenants.get(job.tenant)?.jobs.delete(job)
    if (this.#tenants.size < this.#sweepAt) return
    for (const [id, { jobs, counter }] of this.#tenants) if (jobs.size === 0 && counter <= this.#floor) this.#tenants.delete(id)
    this.#sweepAt = Math.max(64, 2 * this.#tenants.size)
  }

  #tenantOf ({ tenant: id }: EmbeddingJob): Tenant {
    let tenant = this.#tenants.get(id)
    if (tenant === undefined) {
      tenant = { jobs: new Set(), counter: this.#floor }
      this.#tenants.set(id, tenant)
    }
    return tenant
  }
}

const first = <Item>(items: ReadonlySet<Item>): Item | null => items.values().next().value ?? null
