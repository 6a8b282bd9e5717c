import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { matchesAny } from '../../../src/access/name-patterns.ts'

describe('patterns of names', () => {
  it.each([
    ['llama', 'llama', true], ['llama', 'llama-3', false], ['llama*', 'llama-3', true], ['*', '', true], ['*', 'a/b:c', true],
    ['*-eu', 'x-eu', true], ['*-eu', 'x-eu2', false], ['a*b', 'ab', true], ['a*b', 'a', false], ['aa*aa', 'aaa', false], ['a*b*c', 'a-b-c', true],
    ['a*b*b', 'ab', false], ['a.c', 'abc', false], ['A', 'a', false]
  ])('%s and %s: %s', (pattern, name, expected) => {
    expect(matchesAny([pattern], name)).toBe(expected)
  })

  it('are all where there are none', () => {
    expect(matchesAny(null, 'x')).toBe(true)
    expect(matchesAny(['a', 'x'], 'x')).toBe(true)
    expect(matchesAny(['a', 'b'], 'x')).toBe(false)
  })

  it('mean what a regular expression would', () => {
    const letter = fc.constantFrom('a', 'b', '*')
    fc.assert(fc.property(fc.string({ unit: letter, maxLength: 8 }), fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 }), (pattern, name) => {
      expect(matchesAny([pattern], name)).toBe(new RegExp(`^${pattern.replaceAll('*', '.*')}$`).test(name))
    }), { numRuns: 2000 })
  })
})
