import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asRequestId, asTenantId, asToken, type RequestId } from '../../../src/domain/ids.ts'
import { priorities, type Priority } from '../../../src/domain/priority.ts'
import { EmbeddingQueue, type EmbeddingLimits, type EmbeddingTurn, type NewEmbedding } from '../../../src/scheduler/embedding-queue.ts'

let requests = 0

/** A request with inputs of so many tokens each. */
const embedding = (tenant: string, lengths: readonly number[], changes: Partial<NewEmbedding> = {}): NewEmbedding => ({
  id: asRequestId(`${tenant}-${++requests}`),
  tenant: asTenantId(tenant),
  inputs: lengths.map((length) => Array.from({ length }, () => asToken(1))),
  queueDeadline: Infinity,
  deadline: Infinity,
  ...changes
})

const createQueue = (limits: Partial<EmbeddingLimits> = {}): EmbeddingQueue => new EmbeddingQueue({ maxQueue: 1000, policy: 'fair', ...limits })

const tenantOf = ({ id }: EmbeddingTurn): string => id.split('-')[0] ?? ''

function drain (queue: EmbeddingQueue): EmbeddingTurn[] {
  const turns: EmbeddingTurn[] = []
  for (let turn = queue.next(0); turn !== null; turn = queue.next(0)) turns.push(turn)
  return turns
}

const codeOf = (action: () => unknown): string => {
  try {
    action()
    return 'none'
  } catch (error) {
    return `${(error as { code: string }).code}: ${(error as Error).message}`
  }
}

describe('embedding queue', () => {
  it('gives every input one turn, those of a request in order', () => {
    fc.assert(fc.property(fc.array(fc.record({
      tenant: fc.constantFrom('a', 'b', 'c'),
      lengths: fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1, maxLength: 6 }),
      priority: fc.constantFrom<Priority>(...priorities),
      weight: fc.constantFrom(0.5, 1, 4)
    }), { maxLength: 12 }), fc.constantFrom<EmbeddingLimits['policy']>('fair', 'first-come-first-served'), (wanted, policy) => {
      const queue = createQueue({ policy })
      const added = wanted.map(({ tenant, lengths, ...changes }) => embedding(tenant, lengths, changes))
      for (const request of added) queue.add(request, 0)
      expect(queue.waiting).toBe(added.length)
      const seen = new Map<RequestId, number[]>()
      for (const { id, index, tokens } of drain(queue)) {
        seen.set(id, [...seen.get(id) ?? [], index])
        expect(tokens).toBe(added.find((request) => request.id === id)?.inputs[index])
      }
      expect(seen).toEqual(new Map([...seen.keys()].map((id) => [id, added.find((request) => request.id === id)?.inputs.map((_, index) => index)])))
      expect(seen.size).toBe(added.length)
      expect(queue.waiting).toBe(0)
      for (const { id } of added) queue.remove(id)
      expect(queue.size).toBe(0)
    }))
  })

  it('shares tokens between tenants that want more than their share, in proportion to their weights', () => {
    fc.assert(fc.property(
      fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 30, maxLength: 30 }),
      fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 30, maxLength: 30 }),
      fc.constantFrom(1, 2, 3),
      (ofA, ofB, weight) => {
        const queue = createQueue()
        queue.add(embedding('a', ofA), 0)
        queue.add(embedding('b', ofB, { weight }), 0)
        const served = { a: 0, b: 0 }
        const missing = { a: 30, b: 30 }
        for (;;) {
          const turn = queue.next(0)
          if (turn === null) break
          const tenant = tenantOf(turn) as 'a' | 'b'
          served[tenant] += turn.tokens.length
          missing[tenant]--
          if (missing[tenant] === 0) break
          expect(Math.abs(served.a - served.b / weight)).toBeLessThanOrEqual(100)
        }
      }
    ))
  })

  it('lets a tenant that comes late have its share at once, and nothing for the time before', () => {
    const queue = createQueue()
    queue.add(embedding('a', Array.from({ length: 20 }, () => 10)), 0)
    for (let turn = 0; turn < 10; turn++) queue.next(0)
    queue.add(embedding('b', Array.from({ length: 5 }, () => 10)), 0)
    const order = drain(queue).map(tenantOf).join('')
    expect(order.slice(0, 10).split('b')).toHaveLength(6)
    expect(order).not.toContain('bbb')
  })

  it('does not forget what a tenant had because it asks for one thing at a time', () => {
    const queue = createQueue()
    queue.add(embedding('a', Array.from({ length: 100 }, () => 10)), 0)
    const served = { a: 0, b: 0 }
    for (let round = 0; round < 40; round++) {
      if (!served.b || queue.size === 1) queue.add(embedding('b', [50]), 0)
      const turn = queue.next(0)
      if (turn === null) throw new Error('There is work')
      served[tenantOf(turn) as 'a' | 'b'] += turn.tokens.length
      if (tenantOf(turn) === 'b') queue.remove(turn.id)
    }
    expect(Math.abs(served.a - served.b)).toBeLessThanOrEqual(60)
  })

  it('serves more urgent classes first, and in order of arrival where that is the policy', () => {
    const queue = createQueue()
    for (const priority of ['batch', 'normal', 'interactive'] as const) queue.add(embedding(priority, [1], { priority }), 0)
    expect(drain(queue).map(tenantOf)).toEqual(['interactive', 'normal', 'batch'])

    const plain = createQueue({ policy: 'first-come-first-served' })
    plain.add(embedding('a', [5, 5]), 0)
    plain.add(embedding('b', [1]), 0)
    expect(drain(plain).map(tenantOf)).toEqual(['a', 'a', 'b'])
  })

  it('is bounded by requests, by those of a tenant and by tokens, of those that have not begun', () => {
    const queue = createQueue({ maxQueue: 2, policy: 'first-come-first-served' })
    queue.add(embedding('a', [1, 1]), 0)
    queue.next(0)
    queue.add(embedding('a', [1]), 0)
    queue.add(embedding('a', [1]), 0)
    expect(codeOf(() => queue.add(embedding('b', [1]), 0))).toBe('queue_full: 2 requests are waiting; the limit is 2')

    const ofTenant = createQueue({ maxQueuePerTenant: 1 })
    ofTenant.add(embedding('a', [1]), 0)
    expect(codeOf(() => ofTenant.add(embedding('a', [1]), 0))).toBe('queue_full: 1 of your requests are waiting; the limit is 1 for each user')
    ofTenant.add(embedding('b', [1]), 0)

    const inTokens = createQueue({ maxQueueTokens: 10 })
    inTokens.add(embedding('a', [20]), 0)
    expect(codeOf(() => inTokens.add(embedding('b', [1]), 0))).toContain('the limit is 10 tokens, and their inputs have 20')
    inTokens.next(0)
    inTokens.add(embedding('b', [20]), 0)

    // There is such a limit in any case: a request may have two thousand long inputs.
    const unlimited = createQueue()
    const [input = []] = embedding('a', [1024 * 1024]).inputs
    unlimited.add(embedding('a', [], { inputs: [input, input, input] }), 0)
    unlimited.add(embedding('b', [], { inputs: [input] }), 0)
    expect(codeOf(() => unlimited.add(embedding('c', [1]), 0))).toContain('the limit is 4194304 tokens')
  })

  it('turns away the newest of whoever has most waiting, for one that has fewer', () => {
    const queue = createQueue({ maxQueue: 3 })
    const ofA = [1, 2, 3].map(() => embedding('a', [1]))
    for (const request of ofA) queue.add(request, 0)
    expect(queue.add(embedding('b', [1]), 0)).toMatchObject([{ id: ofA[2]?.id, error: { code: 'queue_full' } }])
    expect(queue.waiting).toBe(3)
    expect(codeOf(() => queue.add(embedding('b', [1]), 0))).toContain('queue_full')
    expect(codeOf(() => queue.add(embedding('a', [1]), 0))).toContain('queue_full')
    expect(drain(queue).map(tenantOf).toSorted()).toEqual(['a', 'a', 'b'])
  })

  it('ends what waited or took too long', () => {
    const queue = createQueue()
    const begun = embedding('a', [1, 1], { queueDeadline: 10, deadline: 30 })
    const waiting = embedding('b', [1], { queueDeadline: 10, deadline: 30 })
    queue.add(begun, 0)
    queue.add(waiting, 0)
    expect(queue.next(5)).toMatchObject({ id: begun.id, queuedMs: 5 })
    expect(queue.expire(9)).toEqual([])
    expect(queue.expire(10)).toMatchObject([{ id: waiting.id, error: { code: 'queue_timeout' } }])
    expect(queue.expire(29)).toEqual([])
    expect(queue.expire(30)).toMatchObject([{ id: begun.id, error: { code: 'generation_timeout' } }])
    expect([queue.size, queue.waiting, queue.next(31)]).toEqual([0, 0, null])
  })

  it('forgets requests that are taken out', () => {
    const queue = createQueue()
    const gone = embedding('a', [1, 1])
    queue.add(gone, 0)
    queue.next(0)
    queue.remove(gone.id)
    queue.remove(gone.id)
    expect([queue.size, queue.waiting, queue.next(0)]).toEqual([0, 0, null])
  })
})
