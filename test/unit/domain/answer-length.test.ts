import { describe, expect, it } from 'vitest'
import { maxTokensOf } from '../../../src/domain/answer-length.ts'

describe('the most tokens of an answer', () => {
  it.each([
    [null, 'off', 'off', null],
    [50, 'off', 'off', 50],
    [null, 100, 'off', 100],
    [50, 100, 'off', 50],
    [500, 100, 'off', 500],
    [null, 'off', 200, 200],
    [500, 'off', 200, 200],
    [50, 'off', 200, 50],
    [null, 100, 200, 100],
    [null, 300, 200, 200]
  ] as const)('asked for %s, with %s by default and %s at most, are %s', (asked, byDefault, atMost, expected) => {
    expect(maxTokensOf(asked, { byDefault, atMost })).toBe(expected)
  })
})
