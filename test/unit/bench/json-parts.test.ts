import { describe, expect, it } from 'vitest'
import { jsonParts } from '../../../src/bench/report/json-parts.ts'

describe('jsonParts', () => {
  it.each([
    [{}], [[]], [null], ['a"b\n'], [Number.NaN], [[1, Number.NaN, null, undefined, 'x']], [{ a: undefined, b: { c: [[], [1, 2], [{}]], 'd"': '😀' }, e: true }],
    [Array.from({ length: 2500 }, (_, index) => index)], [[Array.from({ length: 1000 }, () => 'x'), Array.from({ length: 1001 }, () => 0.5)]]
  ])('are together what JSON.stringify makes of %j', (value) => {
    expect([...jsonParts(value)].join('')).toBe(JSON.stringify(value))
  })

  it('are short, however long the whole is', () => {
    const value = { itls: Array.from({ length: 100 }, () => Array.from({ length: 5000 }, () => 0.012345)), after: 1 }
    const lengths = [...jsonParts(value)].map(({ length }) => length)
    expect(lengths.length).toBeGreaterThan(3)
    expect(Math.max(...lengths)).toBeLessThan(1_100_000)
    expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(JSON.stringify(value).length)
  })
})
