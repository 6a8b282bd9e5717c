import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { afterTaking, levelOf, minuteMicros, refillMicros, waitMicros } from '../../../../src/access/limits/bucket.ts'

const start = 1_795_685_146_693_000

/** Requests that come at some time after each other and take what is there. */
const visits = fc.array(fc.record({ pauseMicros: fc.integer({ min: 0, max: 20_000_000 }), amount: fc.integer({ min: 1, max: 50 }) }), { minLength: 1, maxLength: 200 })
const perMinutes = fc.integer({ min: 50, max: 100_000 })

describe('a bucket', () => {
  it('lets in what it holds at once, and after that what a minute gives, evenly', () => {
    let fullAt = 0
    for (let index = 0; index < 60; index++) {
      expect(waitMicros(fullAt, start, 1, 60)).toBe(0)
      fullAt = afterTaking(fullAt, start, 1, 60)
      expect(levelOf(fullAt, start, 60)).toBe(59 - index)
    }
    expect(waitMicros(fullAt, start, 1, 60)).toBe(1_000_000)
    expect(waitMicros(fullAt, start, 5, 60)).toBe(5_000_000)
    expect(waitMicros(fullAt, start + 999_999, 1, 60)).toBe(1)
    expect(levelOf(fullAt, start + 2_000_000, 60)).toBe(2)
    expect(levelOf(fullAt, start + minuteMicros, 60)).toBe(60)
  })

  it('gives no more in any time than it holds and what that time brings', () => {
    fc.assert(fc.property(visits, perMinutes, (all, perMinute) => {
      let [fullAt, now] = [0, start]
      const taken: { readonly at: number, readonly amount: number }[] = []
      for (const { pauseMicros, amount } of all) {
        now += pauseMicros
        if (waitMicros(fullAt, now, amount, perMinute) > 0) continue
        fullAt = afterTaking(fullAt, now, amount, perMinute)
        taken.push({ at: now, amount })
      }
      for (const [first, { at: from }] of taken.entries()) {
        let sum = 0
        for (const { at, amount } of taken.slice(first)) {
          sum += amount
          // Times are whole microseconds.
          const roundings = (taken.length + 1) * perMinute / minuteMicros
          if (sum > perMinute * (1 + (at - from) / minuteMicros) + roundings) return false
        }
      }
      return true
    }))
  })

  it('lets in who waits as long as it says, and nobody who comes a moment earlier', () => {
    fc.assert(fc.property(visits, perMinutes, fc.integer({ min: 1, max: 50 }), (all, perMinute, amount) => {
      let [fullAt, now] = [0, start]
      for (const visit of all) {
        now += Math.floor(visit.pauseMicros / 100)
        if (waitMicros(fullAt, now, visit.amount, perMinute) === 0) fullAt = afterTaking(fullAt, now, visit.amount, perMinute)
      }
      const wait = waitMicros(fullAt, now, amount, perMinute)
      return waitMicros(fullAt, now + wait, amount, perMinute) === 0 && (wait === 0 || waitMicros(fullAt, now + wait - 1, amount, perMinute) > 0)
    }))
  })

  it('is as full as before when what was taken comes back', () => {
    fc.assert(fc.property(fc.integer({ min: 0, max: 2 * minuteMicros }), perMinutes, fc.integer({ min: 1, max: 100_000 }), (filling, perMinute, amount) => {
      const fullAt = start + filling
      return afterTaking(fullAt, start, amount, perMinute) - refillMicros(amount, perMinute) === fullAt
    }))
  })

  it('waits for all of it where more is asked than it holds', () => {
    expect(waitMicros(start + minuteMicros, start, 1_000, 60)).toBe(minuteMicros)
    expect(waitMicros(start, start, 1_000, 60)).toBe(0)
  })
})
