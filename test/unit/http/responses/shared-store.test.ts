import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asTenantId } from '../../../../src/domain/ids.ts'
import { SharedStore } from '../../../../src/http/responses/shared-store.ts'

const [ann, bob] = [asTenantId('ann'), asTenantId('bob')]

function setUp (options: { maxBytes?: number, maxCount?: number } = {}) {
  let time = 0
  const store = new SharedStore<string>({ maxBytes: 100, maxCount: 10, ttlMs: 1000, now: () => time, ...options })
  return { store, pass: (ms: number) => { time += ms } }
}

describe('a store that tenants share', () => {
  it('finds a value only for whom it was kept', () => {
    const { store } = setUp()
    store.set(ann, 'a', 'mine', 1)
    expect(store.get(ann, 'a')).toBe('mine')
    expect(store.get(bob, 'a')).toBeNull()
    expect(store.delete(bob, 'a')).toBe(false)
    expect(store.delete(ann, 'a')).toBe(true)
    expect(store.get(ann, 'a')).toBeNull()
  })

  it('forgets what has not been used for too long', () => {
    const { store, pass } = setUp()
    store.set(ann, 'used', 'x', 1)
    store.set(ann, 'unused', 'y', 1)
    pass(600)
    expect(store.get(ann, 'used')).toBe('x')
    pass(600)
    store.sweep()
    expect(store.count).toBe(1)
    expect(store.get(ann, 'unused')).toBeNull()
    expect(store.get(ann, 'used')).toBe('x')
    pass(1000)
    expect(store.valuesOf(ann)).toEqual([])
    expect(store.delete(ann, 'used')).toBe(false)
    expect([store.count, store.bytes]).toEqual([0, 0])
  })

  it('drops what was used least recently when it is full', () => {
    const { store } = setUp({ maxCount: 2 })
    store.set(ann, '1', 'one', 1)
    store.set(ann, '2', 'two', 1)
    store.get(ann, '1')
    store.set(ann, '3', 'three', 1)
    expect(store.valuesOf(ann)).toEqual(['three', 'one'])
  })

  it('does not let one tenant push out another', () => {
    const { store } = setUp()
    store.set(bob, 'b', 'his', 40)
    for (let index = 0; index < 50; index++) store.set(ann, `a${index}`, 'hers', 9)
    expect(store.get(bob, 'b')).toBe('his')
    expect(store.valuesOf(ann)).toHaveLength(6)
  })

  it('keeps nothing that is larger than all of it, and drops nothing for it', () => {
    const { store } = setUp()
    store.set(ann, 'a', 'small', 10)
    expect(store.set(ann, 'b', 'large', 101)).toBe(false)
    expect(store.get(ann, 'b')).toBeNull()
    expect(store.set(ann, 'a', 'grown too large', 101)).toBe(false)
    expect(store.get(ann, 'a')).toBe('small')
    expect(store.set(ann, 'a', 'grown', 100)).toBe(true)
  })

  it('stays within its limits, counts rightly, and leaves everybody an equal share', () => {
    const step = fc.record({ tenant: fc.constantFrom('ann', 'bob', 'cy'), id: fc.nat(20).map(String), bytes: fc.integer({ min: 1, max: 40 }), act: fc.constantFrom('set', 'set', 'set', 'get', 'delete') })
    fc.assert(fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
      const { store } = setUp({ maxCount: 9 })
      const kept = new Map<string, number>()
      for (const { tenant, id, bytes, act } of steps) {
        const key = `${tenant} ${id}`
        if (act === 'set') {
          store.set(asTenantId(tenant), id, key, bytes)
          kept.set(key, bytes)
        } else if (act === 'delete') {
          store.delete(asTenantId(tenant), id)
        } else {
          store.get(asTenantId(tenant), id)
        }
        const all = ['ann', 'bob', 'cy'].map((name) => store.valuesOf(asTenantId(name)))
        const bytesOf = (keys: readonly string[]): number => keys.reduce((sum, each) => sum + kept.get(each)!, 0)
        expect(store.count).toBe(all.flat().length)
        expect(store.bytes).toBe(bytesOf(all.flat()))
        expect(store.count).toBeLessThanOrEqual(9)
        expect(store.bytes).toBeLessThanOrEqual(100)
        // What was just kept is lost only where its tenant has more than a third.
        if (act === 'set' && !all.flat().includes(key)) expect(bytes).toBeGreaterThan(100 / 3)
      }
    }))
  })
})
