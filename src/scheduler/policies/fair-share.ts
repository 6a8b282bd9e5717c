import type { TenantId } from '../../domain/ids.ts'
import type { Sequence } from '../sequence.ts'
import type { IsEnough, Takeover } from './admission.ts'

/** What a token costs. Drawing one takes a forward pass of its own; prompt tokens share one. The weights are those of the paper. */
const promptTokenCost = 1
const drawnTokenCost = 2

/** So much more service a tenant may have had, whose request goes before another's that is worse to serve now. */
const tolerance = 512

/** Those of a tenant that wait and never had a slot. */
interface Line {
  /** Whom it can lose, in order. */
  readonly sequences: Sequence[]
  /** How many others there are, of requests that have begun. */
  readonly staying: number
  readonly weight: number
}

interface Tenant {
  readonly id: TenantId
  /** Those that lost their slot, the oldest first, then the others in order of arrival. */
  line: Set<Sequence>
  /** Sequences in slots. */
  running: number
  /** Its share relative to others', by the latest word of it. */
  weight: number
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
 * A tenant that has no slot at all need not wait for a free one: it takes that of the youngest sequence of the tenant that is furthest
 * over its share of them, unless that has had less service. No sequence loses its slot twice for this.
 *
 * A full line is shared out too: who has fewer waiting may push out the newest of who has most.
 */
export class FairShare {
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

  get waitingCount (): number { return this.#waiting }

  join (sequence: Sequence): void {
    const tenant = this.#tenantOf(sequence)
    tenant.weight = sequence.weight
    if (tenant.line.size === 0) tenant.counter = Math.max(tenant.counter, this.#leastWaitingCounter() ?? this.#floor)
    if (sequence.wasAdmitted) tenant.line = new Set([sequence, ...tenant.line])
    else tenant.line.add(sequence)
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

  /** Of the same tenant, or of one that had hardly more. */
  mayOvertake (sequence: Sequence, ahead: Sequence): boolean {
    return this.#tenantOf(sequence).counter - this.#tenantOf(ahead).counter <= tolerance
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

  /** @param running of this class, in order of admission. */
  takeover (passed: ReadonlySet<Sequence>, running: readonly Sequence[]): Takeover | null {
    // Its last slot is nobody's to take, and no stream stops twice for this.
    const takeable = running.filter((sequence) => sequence.preemptions === 0 && this.#tenantOf(sequence).running > 1)
    // This is asked in every step while all slots are taken, and there may be thousands of tenants.
    if (takeable.length === 0) return null
    let totalWeight = 0
    let best: { readonly tenant: Tenant, readonly sequence: Sequence } | null = null
    for (const tenant of this.#tenants.values()) {
      if (tenant.running === 0 && tenant.line.size === 0) continue
      totalWeight += tenant.weight
      if (tenant.running > 0 || (best !== null && !isBefore(tenant, best.tenant))) continue
      const sequence = firstOf(tenant.line, passed)
      if (sequence !== null) best = { tenant, sequence }
    }
    if (best === null) return null

    let furthest: Tenant | null = null
    let victim: Sequence | null = null
    for (const sequence of takeable) {
      const tenant = this.#tenantOf(sequence)
      if (tenant.counter < best.tenant.counter || tenant.running * totalWeight <= this.#running * tenant.weight) continue
      if (furthest !== null && furthest !== tenant && tenant.running / tenant.weight <= furthest.running / furthest.weight) continue
      furthest = tenant
      victim = sequence
    }
    return victim === null ? null : { sequence: best.sequence, victim }
  }

  /** Prompts of a tenant with fewer slots for its weight are read first. */
  comparePrompts (a: Sequence, b: Sequence): number {
    return this.#tenantOf(a).running / a.weight - this.#tenantOf(b).running / b.weight
  }

  /** The newest of the longest lines: as many as are enough, or all there are. */
  newest (isEnough: IsEnough): readonly Sequence[] { return this.#newest(isEnough, null, 0) }

  /** The newest of the longest lines, as long as those stay longer than the newcomers' own will be. */
  makeRoom (newcomers: readonly Sequence[], isEnough: IsEnough): readonly Sequence[] {
    const [first] = newcomers
    if (first === undefined) return []
    const own = this.#tenants.get(first.request.tenant) ?? null
    const found = this.#newest(isEnough, own, ((own?.line.size ?? 0) + newcomers.length) / first.weight)
    return isEnough(found) ? found : []
  }

  /** Of those whose request has not begun. */
  #newest (isEnough: IsEnough, spared: Tenant | null, leastShare: number): readonly Sequence[] {
    const lines: Line[] = []
    for (const tenant of this.#tenants.values()) {
      const line = tenant === spared ? [] : [...tenant.line].filter(({ wasAdmitted }) => !wasAdmitted)
      const sequences = line.filter(({ hasBegun }) => !hasBegun)
      if (sequences.length > 0) lines.push({ sequences, staying: line.length - sequences.length, weight: line[0]!.weight })
    }
    const found: Sequence[] = []
    while (!isEnough(found)) {
      const longest = lines.reduce<Line | null>((longer, line) => line.sequences.length > 0 && (longer === null || shareOf(line) > shareOf(longer)) ? line : longer, null)
      if (longest === null || shareOf(longest) <= leastShare) break
      found.push(longest.sequences.pop()!)
    }
    return found
  }

  #tenantOf ({ request: { tenant: id } }: Sequence): Tenant {
    let tenant = this.#tenants.get(id)
    if (tenant === undefined) {
      tenant = { id, line: new Set(), running: 0, weight: 1, counter: 0, lastAdmission: 0 }
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

const shareOf = ({ sequences, staying, weight }: Line): number => (sequences.length + staying) / weight

function firstOf (line: ReadonlySet<Sequence>, passed: ReadonlySet<Sequence>): Sequence | null {
  for (const sequence of line) if (!passed.has(sequence)) return sequence
  return null
}
