import type { TenantId } from '../../domain/ids.ts'
import type { Sequence } from '../sequence.ts'
import type { AdmissionPolicy } from './admission.ts'

/** What a token costs. Drawing one takes a forward pass of its own; prompt tokens share one. The weights are those of the paper. */
const promptTokenCost = 1
const drawnTokenCost = 2

interface Tenant {
  readonly id: TenantId
  /** In order of arrival. */
  readonly line: Set<Sequence>
  /** Sequences in slots. */
  running: number
  /** Service received, in token costs, divided by the tenant's weight. */
  counter: number
  /** Which admission of all was its last one; 0 for none. */
  lastAdmission: number
}

/**
 * Weighted fair service in tokens: the Virtual Token Counter of Sheng et al., "Fairness in Serving Large Language Models" (OSDI
 * 2024). A counter per tenant holds the tokens computed and drawn for it; a free slot goes to the tenant with the smallest
 * one, to its oldest sequence. So tenants that want more than their share get equal service (in proportion to their weights),
 * tenants that want less get what they want, and no slot stays free while anybody waits.
 *
 * Who was away has saved nothing up: at its return a counter is lifted to the smallest one of those that wait. Service of
 * two tenants that wait all the time differs by no more than what their slots hold at once can cost.
 *
 * A full line is shared out too: who has fewer waiting may push out the newest of who has most.
 */
export class FairShare implements AdmissionPolicy {
  /** Those that wait or run, and those whose counter is still above the floor. */
  readonly #tenants = new Map<TenantId, Tenant>()
  /** Nobody starts below: the counter of the tenant that was served last; before it was charged, if others still waited. */
  #floor = 0
  /** Sequences that wait, and those in slots. */
  #waiting = 0
  #running = 0
  #admissions = 0
  /** So many tenants are looked through for such as need not be kept. */
  #sweepAt = 64

  /** Tenants that something is known of. */
  get tenantCount (): number { return this.#tenants.size }

  join (sequence: Sequence): void {
    const tenant = this.#tenantOf(sequence)
    if (tenant.line.size === 0) tenant.counter = Math.max(tenant.counter, this.#leastWaitingCounter() ?? this.#floor)
    tenant.line.add(sequence)
    this.#waiting++
  }

  leave (sequence: Sequence): void {
    const tenant = this.#tenantOf(sequence)
    if (tenant.line.delete(sequence)) this.#waiting--
    this.#forget()
  }

  next (passed: ReadonlySet<Sequence>): Sequence | null {
    let best: { readonly tenant: Tenant, readonly sequence: Sequence } | null = null
    for (const tenant of this.#tenants.values()) {
      if (best !== null && !isBefore(tenant, best.tenant)) continue
      const sequence = firstOf(tenant.line, passed)
      if (sequence !== null) best = { tenant, sequence }
    }
    return best?.sequence ?? null
  }

  admit (sequence: Sequence, promptTokens: number): void {
    const tenant = this.#tenantOf(sequence)
    tenant.running++
    tenant.lastAdmission = ++this.#admissions
    this.#running++
    if (this.#waiting > 0) this.#floor = Math.max(this.#floor, tenant.counter)
    tenant.counter += promptTokens * promptTokenCost / sequence.weight
    if (this.#waiting === 0) this.#floor = Math.max(this.#floor, tenant.counter)
  }

  adjust (sequence: Sequence, promptTokens: number): void {
    this.#tenantOf(sequence).counter += promptTokens * promptTokenCost / sequence.weight
  }

  charge (sequence: Sequence): void {
    this.#tenantOf(sequence).counter += drawnTokenCost / sequence.weight
  }

  release (sequence: Sequence): void {
    this.#tenantOf(sequence).running--
    this.#running--
    this.#forget()
  }

  /** Pushes out the newest of the longest lines, as long as those stay longer than the newcomers' own will be. */
  makeRoom (newcomers: readonly Sequence[], places: number): readonly Sequence[] {
    const [first] = newcomers
    if (first === undefined) return []
    const own = this.#tenants.get(first.request.tenant)
    const ownShare = ((own?.line.size ?? 0) + newcomers.length) / first.weight
    const lines = [...this.#tenants.values()].filter((tenant) => tenant !== own && tenant.line.size > 0)
      .map(({ line }) => [...line])
    const pushedOut: Sequence[] = []
    while (pushedOut.length < places) {
      const longest = lines.reduce<Sequence[] | null>((most, line) => most === null || shareOf(line) > shareOf(most) ? line : most, null)
      if (longest === null || shareOf(longest) <= ownShare) return []
      pushedOut.push(longest.pop()!)
    }
    return pushedOut
  }

  #tenantOf ({ request: { tenant: id } }: Sequence): Tenant {
    let tenant = this.#tenants.get(id)
    if (tenant === undefined) {
      tenant = { id, line: new Set(), running: 0, counter: 0, lastAdmission: 0 }
      this.#tenants.set(id, tenant)
    }
    return tenant
  }

  #leastWaitingCounter (): number | null {
    let least: number | null = null
    for (const { line, counter } of this.#tenants.values()) {
      if (line.size > 0 && (least === null || counter < least)) least = counter
    }
    return least
  }

  /**
   * Nothing that was done for anybody matters when nobody waits or runs. Else a counter that is not above the floor need not be
   * kept: at its return it would be lifted to that at least. Looked through whenever their number has doubled.
   */
  #forget (): void {
    if (this.#waiting === 0 && this.#running === 0) {
      this.#tenants.clear()
      this.#floor = 0
    } else if (this.#tenants.size >= this.#sweepAt) {
      for (const { id, line, running, counter } of this.#tenants.values()) {
        if (line.size === 0 && running === 0 && counter <= this.#floor) this.#tenants.delete(id)
      }
      this.#sweepAt = Math.max(64, this.#tenants.size * 2)
    }
  }
}

/** Less service goes first; of equals, who was served longest ago. */
const isBefore = (a: Tenant, b: Tenant): boolean =>
  a.counter < b.counter || (a.counter === b.counter && a.lastAdmission < b.lastAdmission)

const shareOf = (line: readonly Sequence[]): number => line.length / (line[0]?.weight ?? 1)

function firstOf (line: ReadonlySet<Sequence>, passed: ReadonlySet<Sequence>): Sequence | null {
  for (const sequence of line) if (!passed.has(sequence)) return sequence
  return null
}
