import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { exactLogScale, linearScale, logScale, logTicks, niceStep } from '../../../src/bench/report/html/scale.ts'

describe('a linear scale', () => {
  test('has round ticks and is widened to whole ones', () => {
    expect(linearScale(0, 93, 5).ticks).toEqual([0, 20, 40, 60, 80, 100])
    expect(linearScale(0, 0.31, 4).ticks).toEqual([0, 0.1, 0.2, 0.3, 0.4])
    expect(linearScale(11.3, 18.2, 6).ticks).toEqual([11, 12, 13, 14, 15, 16, 17, 18, 19])
  })

  test('puts values between its ends, and those beyond at the nearer end', () => {
    const scale = linearScale(0, 100)
    expect([0, 25, 100, -1, 200].map((value) => scale.at(value))).toEqual([0, 0.25, 1, 0, 1])
  })

  test('has a span when its values have none', () => {
    expect(linearScale(0, 0)).toMatchObject({ low: 0, high: 1 })
    expect(linearScale(8, 8)).toMatchObject({ low: 0, high: 10 })
    expect(linearScale(999_999_999.955, 999_999_999.959, 3)).toMatchObject({ low: 0, high: 1_500_000_000 })
  })

  test('steps are 1, 2 or 5 times a power of ten', () => {
    expect([10, 13, 22, 45, 80].map((span) => niceStep(span, 10))).toEqual([1, 1, 2, 5, 10])
  })
})

describe('a logarithmic scale', () => {
  test('is widened to 1, 2 or 5 times a power of ten', () => {
    expect(logScale(13, 730)).toMatchObject({ low: 10, high: 1000 })
    expect(logScale(2.3, 41)).toMatchObject({ low: 2, high: 50 })
    expect(logScale(5, 5)).toMatchObject({ low: 5, high: 10 })
  })

  test('has as many round ticks as there is room for', () => {
    expect(logTicks(1, 100, 7)).toEqual([1, 2, 5, 10, 20, 50, 100])
    expect(logTicks(1, 100, 6)).toEqual([1, 3, 10, 30, 100])
    expect(logTicks(1, 10_000, 7)).toEqual([1, 10, 100, 1000, 10_000])
    expect(logTicks(0.001, 1e9, 7)).toEqual([0.01, 1, 100, 10_000, 1e6, 1e8])
  })

  test('puts what has no logarithm at its low end', () => {
    const scale = exactLogScale(1, 100, [1, 10, 100])
    expect([0, -3, 1, 10, 100, 1e6].map((value) => scale.at(value))).toEqual([0, 0, 0, 0.5, 1, 1])
  })
})

test('ticks are few, ascending and within any scale', () => {
  const value = fc.double({ min: 1e-6, max: 1e9, noNaN: true })
  fc.assert(fc.property(value, value, fc.integer({ min: 3, max: 8 }), (a, b, count) => {
    const [low, high] = a < b ? [a, b] : [b, a]
    for (const scale of [linearScale(0, high, count), linearScale(low, high, count), logScale(low, high, count)]) {
      expect(scale.low).toBeLessThanOrEqual(low * (1 + 1e-9))
      expect(scale.high).toBeGreaterThanOrEqual(high * (1 - 1e-9))
      expect(scale.ticks.length).toBeGreaterThan(0)
      expect(scale.ticks.length).toBeLessThanOrEqual(2 * count + 2)
      expect(scale.ticks).toEqual(scale.ticks.toSorted((x, y) => x - y))
      expect(new Set(scale.ticks).size).toBe(scale.ticks.length)
      for (const tick of scale.ticks) {
        expect(tick).toBeGreaterThanOrEqual(scale.low * (1 - 1e-9))
        expect(tick).toBeLessThanOrEqual(scale.high * (1 + 1e-9))
      }
    }
  }))
})
