import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { shareLines, type ShareWish } from '../../../src/batches/line-shares.ts'

const wish = (id: string, tenant: string, group = 'm', underWay = 0): ShareWish => ({ id, tenant, group, underWay })

describe('free places', () => {
  it('go to tenants alike, however many batches they have', () => {
    const wishes = [wish('a1', 'a'), wish('a2', 'a'), wish('a3', 'a'), wish('b1', 'b')]
    expect(Object.fromEntries(shareLines(wishes, () => 6))).toEqual({ a1: 1, a2: 1, a3: 1, b1: 3 })
  })

  it('go first to whoever has the fewest', () => {
    expect(Object.fromEntries(shareLines([wish('a', 'a', 'm', 4), wish('b', 'b')], () => 3))).toEqual({ b: 3 })
  })

  it('are those of a model alone', () => {
    const free: Record<string, number> = { m: 2, n: 0 }
    expect(Object.fromEntries(shareLines([wish('a', 'a', 'm'), wish('b', 'b', 'n')], (group) => free[group] ?? 0))).toEqual({ a: 2 })
  })

  it('are all given away, and no more', () => {
    const wishes = fc.array(fc.record({ tenant: fc.constantFrom('a', 'b', 'c'), group: fc.constantFrom('m', 'n'), underWay: fc.nat(5) }), { maxLength: 8 })
      .map((list) => list.map((each, index) => ({ ...each, id: String(index) })))
    fc.assert(fc.property(wishes, fc.integer({ min: -2, max: 12 }), (list, free) => {
      const shares = shareLines(list, () => free)
      for (const group of ['m', 'n']) {
        const ofGroup = list.filter((each) => each.group === group)
        const given = ofGroup.reduce((sum, { id }) => sum + (shares.get(id) ?? 0), 0)
        expect(given).toBe(ofGroup.length === 0 ? 0 : Math.max(0, free))
      }
    }))
  })
})
