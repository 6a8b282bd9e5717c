import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { baseAdapterSet } from '../../../src/domain/adapter-set.ts'
import { asSequenceId, asTenantId, asToken } from '../../../src/domain/ids.ts'
import type { Priority } from '../../../src/domain/priority.ts'
import { greedySampling } from '../../../src/domain/sampling.ts'
import { admissionPolicies, type AdmissionPolicy } from '../../../src/scheduler/policies/admission.ts'
import { FairShare } from '../../../src/scheduler/policies/fair-share.ts'
import { patienceMs } from '../../../src/scheduler/policies/priority-classes.ts'
import { Sequence } from '../../../src/scheduler/sequence.ts'
import { SlotTable } from '../../../src/scheduler/slot-table.ts'

/** `anna-3` is the tenant anna's. */
const sequence = (id: string, weight = 1, priority: Priority = 'normal'): Sequence => new Sequence({
  id: asSequenceId(id),
  tenant: asTenantId(id.split('-')[0]!),
  weight,
  priority,
  adapters: baseAdapterSet,
  prompt: [asToken(1)],
  maxTokens: null,
  sampling: greedySampling,
  queueDeadline: Infinity,
  deadline: Infinity
}, 0)

/** Gives them slots, the first one the lowest. */
function inSlots (...all: readonly Sequence[]): readonly Sequence[] {
  const table = new SlotTable(1, all.length)
  for (const [index, one] of all.entries()) table.take(table.slots[index]!, one, 0, null)
  return all
}

const nobody: ReadonlySet<Sequence> = new Set()

type Line = Pick<AdmissionPolicy, 'join' | 'leave' | 'next' | 'admit' | 'release'>

/** Joins all, then admits and says who, until nobody waits. A sequence costs as many prompt tokens as wanted, and nothing else. */
function order (policy: Line, sequences: readonly Sequence[], promptTokens: (sequence: Sequence) => number = () => 10): string[] {
  for (const one of sequences) policy.join(one, 0)
  const admitted: string[] = []
  for (let next = policy.next(nobody, 0); next !== null; next = policy.next(nobody, 0)) {
    policy.leave(next)
    policy.admit(next, promptTokens(next), 0)
    policy.release(next)
    admitted.push(next.id)
  }
  return admitted
}

const atLeast = (places: number) => ({ length }: readonly Sequence[]): boolean => length >= places

const sequences = (...ids: readonly string[]): Sequence[] => ids.map((id) => sequence(id))

describe('who may overtake', () => {
  it.each([[500, true], [600, false]])('after %i tokens of service more than the one ahead: %s', (promptTokens, mayOvertake) => {
    const policy = admissionPolicies.fair()
    const [served, waiting, next] = sequences('anna-1', 'bert-1', 'anna-2') as [Sequence, Sequence, Sequence]
    for (const one of [served, waiting, next]) policy.join(one, 0)
    policy.leave(served)
    policy.admit(served, promptTokens, 0)
    expect(policy.mayOvertake(next, waiting)).toBe(mayOvertake)
    expect(policy.mayOvertake(waiting, next)).toBe(true)
  })

  it('is nobody less or more urgent, and nobody at all first come, first served', () => {
    const policy = admissionPolicies.fair()
    const [urgent, normal] = [sequence('anna-1', 1, 'interactive'), sequence('anna-2')]
    for (const one of [urgent, normal]) policy.join(one, 0)
    expect(policy.mayOvertake(normal, urgent)).toBe(false)
    expect(policy.mayOvertake(urgent, normal)).toBe(false)
    const inOrder: AdmissionPolicy = admissionPolicies['first-come-first-served']()
    expect(inOrder.mayOvertake(urgent, normal)).toBe(false)
  })
})

describe.each(Object.entries(admissionPolicies))('the policy %s', (_, create) => {
  it('serves one tenant in order of arrival', () => {
    expect(order(create(), sequences('a-1', 'a-2', 'a-3'))).toEqual(['a-1', 'a-2', 'a-3'])
  })

  it('passes over whom it is told to, without an end', () => {
    const policy = create()
    const all = sequences('a-1', 'a-2', 'b-1')
    for (const one of all) policy.join(one, 0)
    const passed = new Set<Sequence>()
    for (let next = policy.next(passed, 0); next !== null; next = policy.next(passed, 0)) passed.add(next)
    expect(passed).toEqual(new Set(all))
  })

  it('forgets those that left', () => {
    const policy = create()
    const [first, second] = sequences('a-1', 'b-1')
    policy.join(first!, 0)
    policy.join(second!, 0)
    policy.leave(first!)
    expect(policy.next(nobody, 0)).toBe(second)
    policy.leave(second!)
    expect(policy.next(nobody, 0)).toBeNull()
  })
})

describe('first come, first served', () => {
  it('goes by arrival, whosever they are, and takes nothing from anybody', () => {
    const policy: AdmissionPolicy = admissionPolicies['first-come-first-served']()
    expect(order(policy, sequences('a-1', 'a-2', 'b-1', 'a-3'))).toEqual(['a-1', 'a-2', 'b-1', 'a-3'])
    for (const one of sequences('a-1', 'a-2')) policy.join(one, 0)
    expect(policy.makeRoom(sequences('b-1'), atLeast(1))).toEqual([])
    expect(policy.takeover(nobody, sequences('a-3', 'a-4'))).toBeNull()
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
    for (const one of [a!, b!, ...later]) policy.join(one, 0)
    for (const one of [a!, b!]) {
      policy.leave(one)
      policy.admit(one, 10, 0)
    }
    for (let index = 0; index < 3; index++) policy.charge(a!)
    for (let index = 0; index < 2; index++) policy.charge(b!)
    expect(policy.next(nobody, 0)?.id).toBe('b-2')
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
    for (let index = 0; index < 200; index++) policy.join(sequence(`flood-${index}`), 0)
    for (let index = 0; index < 100; index++) {
      const next = policy.next(nobody, 0)!
      policy.leave(next)
      policy.admit(next, 10, 0)
    }
    for (let index = 0; index < 50; index++) policy.join(sequence(`late-${index}`), 0)
    const served: string[] = []
    for (let index = 0; index < 20; index++) {
      const next = policy.next(nobody, 0)!
      policy.leave(next)
      policy.admit(next, 10, 0)
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
      for (const one of sequences(...ids)) policy.join(one, 0)
      return policy
    }
    const pushedOut = (policy: AdmissionPolicy, newcomers: readonly string[], places: number): string[] =>
      policy.makeRoom(sequences(...newcomers), atLeast(places)).map(({ id }) => id)

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
      for (const id of ['heavy-1', 'heavy-2', 'heavy-3', 'heavy-4']) policy.join(sequence(id, 4), 0)
      for (const one of sequences('a-1', 'a-2')) policy.join(one, 0)
      expect(pushedOut(policy, ['b-1'], 1)).toEqual(['a-2'])
    })
  })

  describe('with no free slot', () => {
    const running = (policy: AdmissionPolicy, ...all: readonly Sequence[]): readonly Sequence[] => {
      for (const one of all) {
        policy.join(one, 0)
        policy.leave(one)
        policy.admit(one, 1, 0)
      }
      return inSlots(...all)
    }
    const takeover = (policy: AdmissionPolicy, takeable: readonly Sequence[]): string[] | null => {
      const found = policy.takeover(nobody, takeable)
      return found === null ? null : [found.sequence.id, found.victim.id]
    }

    it('lets who has nothing take the youngest slot of whoever is furthest over the share', () => {
      const policy = create()
      const slots = running(policy, ...sequences('a-1', 'a-2', 'b-1', 'b-2', 'b-3', 'a-3', 'b-4'))
      policy.join(sequence('a-4'), 0)
      expect(takeover(policy, slots)).toBeNull()
      policy.join(sequence('c-1'), 0)
      expect(takeover(policy, slots)).toEqual(['c-1', 'b-4'])
      // In a lane of its own, say, where only those are.
      expect(takeover(policy, slots.slice(0, 5))).toEqual(['c-1', 'b-3'])
      expect(takeover(policy, slots.slice(0, 2))).toEqual(['c-1', 'a-2'])
      slots[6]!.preemptions = 1
      expect(takeover(policy, slots)).toEqual(['c-1', 'b-3'])
    })

    it('takes nothing from who has had less service', () => {
      const policy = create()
      const slots = running(policy, ...sequences('a-1', 'b-1', 'b-2'))
      policy.join(sequence('c-1'), 0)
      expect(takeover(policy, slots)).toEqual(['c-1', 'b-2'])
      for (const one of sequences('a-1', 'c-2')) policy.charge(one)
      expect(takeover(policy, slots)).toBeNull()
    })

    it('leaves everybody a slot, and what is within a share', () => {
      const policy = create()
      const slots = running(policy, ...sequences('a-1', 'b-1'))
      policy.join(sequence('c-1'), 0)
      expect(takeover(policy, slots)).toBeNull()

      const weighed = create()
      const heavy = running(weighed, sequence('heavy-1', 3), sequence('heavy-2', 3), sequence('b-1', 0.1), sequence('b-2', 0.1))
      weighed.join(sequence('c-1', 0.1), 0)
      expect(takeover(weighed, heavy)).toEqual(['c-1', 'b-2'])
      // Two of three slots are not more than the heavy one's share.
      expect(takeover(weighed, heavy.slice(0, 2))).toBeNull()
    })

    it('reads the prompt of whoever has fewer slots first', () => {
      const policy = create()
      const [flood, , chat] = running(policy, ...sequences('a-1', 'a-2', 'b-1'))
      expect(Math.sign(policy.comparePrompts(flood!, chat!))).toBe(1)
      expect(policy.comparePrompts(flood!, flood!)).toBe(0)
    })

    it('puts who lost its slot before all others of its tenant', () => {
      const policy = create()
      const [first, second, third] = sequences('a-1', 'a-2', 'a-3')
      policy.join(third!, 0)
      for (const one of [second!, first!]) {
        one.wasAdmitted = true
        policy.join(one, 0)
      }
      expect(order(policy, [])).toEqual(['a-1', 'a-2', 'a-3'])
      // And it is not turned away.
      policy.join(first!, 0)
      expect(policy.makeRoom(sequences('b-1'), atLeast(1))).toEqual([])
    })

    it('lets who is not batch work take the lowest slot of batch work, whosever it is', () => {
      const policy = create()
      const slots = running(policy, sequence('a-2'), sequence('b-1', 1, 'batch'), sequence('a-1', 1, 'batch'))
      policy.join(sequence('c-1', 1, 'batch'), 0)
      expect(takeover(policy, slots)).toBeNull()
      policy.join(sequence('b-2'), 0)
      expect(takeover(policy, slots)).toEqual(['b-2', 'b-1'])
      policy.join(sequence('a-3', 1, 'interactive'), 0)
      expect(takeover(policy, slots)).toEqual(['a-3', 'b-1'])
      expect(takeover(policy, slots.slice(0, 1))).toBeNull()
    })
  })

  describe('with classes of urgency', () => {
    const classes = (): Sequence[] => [sequence('a-1', 1, 'batch'), sequence('a-2'), sequence('b-1', 1, 'interactive'), sequence('c-1')]

    it('serves the more urgent first', () => {
      expect(order(create(), classes())).toEqual(['b-1', 'a-2', 'c-1', 'a-1'])
    })

    it('reads the prompts of the more urgent first', () => {
      const policy = create()
      const [batch, normal, interactive] = classes()
      expect([batch!, normal!, interactive!].toSorted((a, b) => policy.comparePrompts(a, b))).toEqual([interactive, normal, batch])
    })

    it('turns the least urgent away when the line is full', () => {
      const policy = create()
      for (const one of classes()) policy.join(one, 0)
      const makeRoom = (places: number, priority: Priority, ...ids: readonly string[]): string[] =>
        policy.makeRoom(ids.map((id) => sequence(id, 1, priority)), atLeast(places)).map(({ id }) => id)
      expect(makeRoom(1, 'normal', 'd-1')).toEqual(['a-1'])
      expect(makeRoom(2, 'interactive', 'd-1')).toEqual(['a-1', 'a-2'])
      expect(makeRoom(1, 'batch', 'd-1')).toEqual([])
      expect(makeRoom(2, 'normal', 'd-1')).toEqual([])
    })

    it('has no room for batch work in a crowd, unless that has waited for long', () => {
      const policy = create()
      for (const one of classes()) policy.join(one, 0)
      for (const expected of ['b-1', 'a-2', 'c-1']) {
        const next = policy.next(nobody, 0, true)!
        expect(next.id).toBe(expected)
        policy.leave(next)
        policy.admit(next, 10, 0)
      }
      expect(policy.next(nobody, patienceMs - 1, true)).toBeNull()
      expect(policy.next(nobody, patienceMs - 1)?.id).toBe('a-1')
      expect(policy.next(nobody, patienceMs, true)?.id).toBe('a-1')
    })

    it('can do without batch work that is not safe and has little to lose, in the lowest slot', () => {
      const policy = create()
      const [urgent, safe, first, second] = [sequence('a-1'), sequence('c-1', 1, 'batch'), sequence('a-2', 1, 'batch'), sequence('b-1', 1, 'batch')]
      inSlots(urgent, safe, first, second)
      safe.isProtected = true
      expect(policy.expendable([second, first, urgent, safe])).toBe(first)
      expect(policy.expendable([urgent, second])).toBe(second)
      expect(policy.expendable([urgent, safe])).toBeNull()
      expect(policy.expendable([])).toBeNull()
      second.computed = 100
      first.computed = 356
      expect(policy.expendable([urgent, safe, first, second])).toBe(first)
      first.computed = 357
      expect(policy.expendable([urgent, safe, first, second])).toBe(second)
    })

    it('lets no class wait for ever, and no more than one slot of it be safe', () => {
      const policy = create()
      for (const id of ['a-1', 'a-2']) policy.join(sequence(id, 1, 'batch'), 0)
      const served: string[] = []
      const protectedOnes: Sequence[] = []
      for (let time = 0; time <= 3 * patienceMs; time += 1000) {
        policy.join(sequence(`b-${time}`, 1, 'interactive'), time)
        const next = policy.next(nobody, time)!
        policy.leave(next)
        policy.admit(next, 10, time)
        served.push(next.id)
        if (next.isProtected) protectedOnes.push(next)
        if (next.priority !== 'batch') policy.release(next)
      }
      expect(served.indexOf('a-1')).toBe(patienceMs / 1000)
      expect(served).not.toContain('a-2')
      expect(protectedOnes.map(({ id }) => id)).toEqual(['a-1'])
      expect(policy.takeover(nobody, protectedOnes)).toBeNull()
      policy.release(protectedOnes[0]!)
      expect(policy.next(nobody, 3 * patienceMs)?.id).toBe('a-2')
    })
  })

  it('lets no two tenants that wait all the time be further apart than what the slots hold (law 7)', () => {
    fc.assert(fc.property(
      fc.array(fc.tuple(fc.constantFrom(1, 2, 4), fc.integer({ min: 1, max: 100 }), fc.integer({ min: 0, max: 30 })), { minLength: 2, maxLength: 5 }),
      fc.integer({ min: 1, max: 8 }),
      (tenants, slots) => {
        const policy = create()
        let made = 0
        const join = (tenant: number): void => { policy.join(sequence(`${tenant}-${made++}`, tenants[tenant]![0]), 0) }
        tenants.forEach((_, tenant) => { for (let index = 0; index <= slots; index++) join(tenant) })
        const service = tenants.map(() => 0)
        const running: { readonly one: Sequence, readonly tenant: number, left: number }[] = []
        // The most that a tenant's sequences can cost between two looks at its counter.
        const bound = Math.max(...tenants.map(([weight, prompt, output]) => slots * (prompt + 2 * output) / weight)) + 1
        for (let step = 0; step < 400; step++) {
          while (running.length < slots) {
            const one = policy.next(nobody, 0)!
            const tenant = Number(one.id.split('-')[0])
            const [weight, prompt, output] = tenants[tenant]!
            policy.leave(one)
            policy.admit(one, prompt, 0)
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
