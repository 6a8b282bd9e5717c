import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hasMoreJsonThan } from '../../../../src/http/plugins/has-more-json-than.ts'

const countOf = (value: unknown): number => {
  if (typeof value !== 'object' || value === null) return 0
  const members = Object.values(value)
  return 1 + (Array.isArray(value) ? 0 : members.length) + members.reduce<number>((sum, member) => sum + countOf(member), 0)
}

describe('the size of a JSON text', () => {
  it('is that of its members, objects and lists, whatever its texts hold', () => {
    const text = fc.string({ unit: fc.constantFrom('"', '\\', ':', '[', '{', ',', 'a', 'é', '\n') })
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 4 }, text, fc.integer(), fc.constant(null), fc.array(tie('value'), { maxLength: 5 }), fc.dictionary(text, tie('value'), { maxKeys: 5 }))
    }))
    fc.assert(fc.property(value, fc.constantFrom(undefined, 1), (json, space) => {
      const bytes = Buffer.from(JSON.stringify(json, null, space))
      const count = countOf(json)
      expect(hasMoreJsonThan(bytes, count)).toBe(false)
      if (count > 0) expect(hasMoreJsonThan(bytes, count - 1)).toBe(true)
    }))
  })

  it.each(['', '"', '"\\', '[[[[', '::::'])('is found for what is not JSON: %s', (text) => {
    expect(hasMoreJsonThan(Buffer.from(text), 3)).toBe(text.length === 4)
  })
})
