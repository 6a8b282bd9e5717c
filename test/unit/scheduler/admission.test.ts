import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { baseAdapterSet } from '../../../src/domain/adapter-set.ts'
import { asSequenceId, asTenantId, asToken } from '../../../src/domain/ids.ts'
import { greedySampling } from '../../../src/domain/sampling.ts'
import { admissionPolicies, type AdmissionPolicy } from '../../../src/scheduler/policies/admission.ts'
import { FairShare } from '../../../src/scheduler/policies/fair-share.ts'
import { Sequence } from '../../../src/scheduler/sequence.ts'

/** `anna-3` is the tenant anna's. */
const sequence = (id: string, weight = 1): Sequence => new Sequence({
  id: asSequenceId(id),
  tenant: asTenantId(id.split('-')[0]!),
  weight,
  adapters: baseAdapterSet,
  prompt: [asToken(1)],
  maxTokens: null,
  sampling: greedySampling,
  queueDeadline: Infinity,
  deadline: Infinity
}, 0)

const nobody: ReadonlySet<Sequence> = new Set()

/** Joins all, then admits and says who, until nobody waits. A sequence costs as many prompt tokens as wanted, and nothing else. */
function order (policy: AdmissionPolicy, sequences: readonly Sequence[], promptTokens: (sequence: Sequence) => number = () => 10): string[] {
  for (const one of sequences) policy.join(one)
  const admitted: string[] = []
  for (let next = policy.next(nobody); next !== null; next = policy.next(nobody)) {
    policy.leave(next)
    policy.admit(next, promptTokens(next))
    policy.release(next)
    admitted.push(next.id)
  }
  return admitted
}

const sequences = (...ids: readonly string[]): Sequence[] => ids.map((id) => sequence(id))

describe.each(Object.entries(admissionPolicies))('the policy %s', (_, create) => {
  it('serves one tenant in order of arrival', () => {
    expect(order(create(), sequences('a-1', 'a-2', 'a-3'))).toEqual(['a-1', 'a-2', 'a-3'])
  })

  it('passes over whom it is told to, without an end', () => {
    const policy = create()
    const all = sequences('a-1', 'a-2', 'b-1')
    for (const one of all) policy.join(one)
    const passed = new Set<Sequence>()
    for (let next = policy.next(passed); next !== null; next = policy.next(passed)) passed.add(next)
    expect(passed).toEqual(new Set(all))
  })

  it('forgets those that left', () => {
    const policy = create()
    const [first, second] = sequences('a-1', 'b-1')
    policy.join(first!)
    policy.join(second!)
    policy.leave(first!)
    expect(policy.next(nobody)).toBe(second)
    policy.leave(second!)
    expect(policy.next(nobody)).toBeNull()
  })
})

describe('first come, first served', () => {
  it('goes by arrival, whosever they are, and pushes nobody out', () => {
    const policy = admissionPolicies['first-come-first-served']()
    expect(order(policy, sequences('a-1', 'a-2', 'b-1', 'a-3'))).toEqual(['a-1', 'a-2', 'b-1', 'a-3'])
    for (const one of sequences('a-1', 'a-2')) policy.join(one)
    expect(policy.makeRoom(sequences('b-1'), 1)).toEqual([])
  })
})

describe('fair share', () => {
  const create = admissionPolicies.fair

  it('alternates between tenants that ask for the same', () => {
    expect(order(create(), sequences('a-1', 'a-2', 'a-3', 'b-1', 'b-2', 'b-3'))).toEqual(['a-1', 'b-1', 'a-2', 'b-2', 'a-3', 'b-3'])
  })

  it('counts tokens, not requests', () => {
    const served = order(create(), sequences('long-1', 'long-2', 'short-1', 'short-2', 'short-3', 'short-4'), ({ id }) => id.startsWith('long') ? 40 : 10)
    expect(served).toEqual(['long-1', 'short-1', 'short-2', 'short-3', 'short-4', 'long-2'])
  })

  it('counts a drawn token twice', () => {
    const policy = create()
    const [a, b, ...later] = sequences('a-1', 'b-1', 'a-2', 'b-2')
    for (const one of [a!, b!, ...later]) policy.join(one)
    for (const one of [a!, b!]) {
      policy.leave(one)
      policy.admit(one, 10)
    }
    for (let index = 0; index < 3; index++) policy.charge(a!)
    for (let index = 0; index < 2; index++) policy.charge(b!)
    expect(policy.next(nobody)?.id).toBe('b-2')
  })

  it('serves twice as much at twice the weight', () => {
    const heavy = Array.from({ length: 8 }, (_, index) => sequence(`heavy-${index}`, 2))
    const served = order(create(), [...heavy, ...sequences('light-0', 'light-1', 'light-2', 'light-3')])
    for (let count = 3; count <= 12; count += 3) {
      expect(served.slice(0, count).filter((id) => id.startsWith('heavy')).length).toBeCloseTo(count * 2 / 3, 0)
    }
  })

  it('gives a newcomer the next slot, but nothing for the time it was away', () => {
    const policy = create()
    for (let index = 0; index < 200; index++) policy.join(sequence(`flood-${index}`))
    for (let index = 0; index < 100; index++) {
      const next = policy.next(nobody)!
      policy.leave(next)
      policy.admit(next, 10)
    }
    for (let index = 0; index < 50; index++) policy.join(sequence(`late-${index}`))
    const served: string[] = []
    for (let index = 0; index < 20; index++) {
      const next = policy.next(nobody)!
      policy.leave(next)
      policy.admit(next, 10)
      served.push(next.id.split('-')[0]!)
    }
    expect(served[0]).toBe('late')
    expect(served.filter((tenant) => tenant === 'late')).toHaveLength(10)
  })

  it('keeps nothing of tenants that are gone', () => {
    const policy = new FairShare()
    for (let index = 0; index < 100; index++) order(policy, sequences(`t${index}-1`))
    expect(policy.tenantCount).toBe(0)

    // Somebody is always there; tenants that come once are forgotten when the floor has passed them.
    const [always] = sequences('always-1')
    policy.join(always!)
    policy.leave(always!)
    policy.admit(always!, 1)
    for (let index = 0; index < 2000; index++) {
      const [one] = sequences(`t${index}-1`)
      policy.join(one!)
      policy.leave(one!)
      policy.admit(one!, 10)
      for (let token = 0; token < 20; token++) policy.charge(one!)
      policy.release(one!)
    }
    expect(policy.tenantCount).toBeLessThan(200)
  })

  describe('with a full line', () => {
    const full = (...ids: readonly string[]): AdmissionPolicy => {
      const policy = create()
      for (const one of sequences(...ids)) policy.join(one)
      return policy
    }
    const pushedOut = (policy: AdmissionPolicy, newcomers: readonly string[], places: number): string[] =>
      policy.makeRoom(sequences(...newcomers), places).map(({ id }) => id)

    it('pushes out the newest of the longest line', () => {
      expect(pushedOut(full('a-1', 'a-2', 'a-3', 'b-1'), ['c-1'], 1)).toEqual(['a-3'])
      expect(pushedOut(full('a-1', 'a-2', 'a-3', 'a-4', 'b-1'), ['c-1', 'c-2'], 2)).toEqual(['a-4', 'a-3'])
    })

    it('turns the newcomer away when nobody has more than it will have', () => {
      expect(pushedOut(full('a-1', 'a-2'), ['a-3'], 1)).toEqual([])
      expect(pushedOut(full('a-1', 'b-1'), ['c-1'], 1)).toEqual([])
      expect(pushedOut(full('a-1', 'a-2', 'a-3'), ['c-1', 'c-2'], 2)).toEqual([])
    })

    it('weighs lines', () => {
      const policy = create()
      for (const id of ['heavy-1', 'heavy-2', 'heavy-3', 'heavy-4']) policy.join(sequence(id, 4))
      for (const one of sequences('a-1', 'a-2')) policy.join(one)
      expect(pushedOut(policy, ['b-1'], 1)).toEqual(['a-2'])
    })
  })

  it('lets no two tenants that wait all the time be further apart than what the slots hold (law 7)', () => {
    fc.assert(fc.property(
      fc.array(fc.tuple(fc.constantFrom(1, 2, 4), fc.integer({ min: 1, max: 100 }), fc.integer({ min: 0, max: 30 })), { minLength: 2, maxLength: 5 }),
      fc.integer({ min: 1, max: 8 }),
      (tenants, slots) => {
        const policy = create()
        let made = 0
        const join = (tenant: number): void => { policy.join(sequence(`${tenant}-${made++}`, tenants[tenant]![0])) }
        tenants.forEach((_, tenant) => { for (let index = 0; index <= slots; index++) join(tenant) })
        const service = tenants.map(() => 0)
        const running: { readonly one: Sequence, readonly tenant: number, left: number }[] = []
        // The most that a tenant's sequences can cost between two looks at its counter.
        const bound = Math.max(...tenants.map(([weight, prompt, output]) => slots * (prompt + 2 * output) / weight)) + 1
        for (let step = 0; step < 400; step++) {
          while (running.length < slots) {
            const one = policy.next(nobody)!
            const tenant = Number(one.id.split('-')[0])
            const [weight, prompt, output] = tenants[tenant]!
            policy.leave(one)
            policy.admit(one, prompt)
            service[tenant]! += prompt / weight
            running.push({ one, tenant, left: output })
            join(tenant)
          }
          for (const entry of running) {
            if (entry.left-- <= 0) continue
            policy.charge(entry.one)
            service[entry.tenant]! += 2 / tenants[entry.tenant]![0]
          }
          for (const entry of running.filter(({ left }) => left <= 0)) {
            policy.release(entry.one)
            running.splice(running.indexOf(entry), 1)
          }
          expect(Math.max(...service) - Math.min(...service)).toBeLessThanOrEqual(bound)
        }
      }
    ), { numRuns: 100 })
  })
})
