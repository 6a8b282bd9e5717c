import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hasMoreJsonThan } from '../../../../src/http/plugins/has-more-json-than.ts'

/** Of all commas that there may be in these tests. */
const many = 1_000_000

const commasOf = (value: unknown): number => {
  if (typeof value !== 'object' || value === null) return 0
  const members = Object.values(value)
  return Math.max(members.length - 1, 0) + members.reduce<number>((sum, member) => sum + commasOf(member), 0)
}

const countOf = (value: unknown): number => {
  if (typeof value !== 'object' || value === null) return 0
  const members = Object.values(value)
  return 1 + (Array.isArray(value) ? 0 : members.length) + members.reduce<number>((sum, member) => sum + countOf(member), 0)
}

describe('the size of a JSON text', () => {
  it('is that of its members, objects and lists, and of its commas, whatever its texts hold', () => {
    const text = fc.string({ unit: fc.constantFrom('"', '\\', ':', '[', '{', ',', 'a', 'é', '\n') })
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof({ maxDepth: 4 }, text, fc.integer(), fc.constant(null), fc.array(tie('value'), { maxLength: 5 }), fc.dictionary(text, tie('value'), { maxKeys: 5 }))
    }))
    fc.assert(fc.property(value, fc.constantFrom(undefined, 1), (json, space) => {
      const bytes = Buffer.from(JSON.stringify(json, null, space))
      const [parts, commas] = [countOf(json), commasOf(json)]
      expect(hasMoreJsonThan(bytes, { parts, commas })).toBe(false)
      if (parts > 0) expect(hasMoreJsonThan(bytes, { parts: parts - 1, commas: many })).toBe(true)
      if (commas > 0) expect(hasMoreJsonThan(bytes, { parts: many, commas: commas - 1 })).toBe(true)
    }))
  })

  it.each(['', '"', '"\\', '[[[[', '::::'])('is found for what is not JSON: %s', (text) => {
    expect(hasMoreJsonThan(Buffer.from(text), { parts: 3, commas: 3 })).toBe(text.length === 4)
  })
})
