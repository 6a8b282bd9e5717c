import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { asToken } from '../../../src/domain/ids.ts'
import { dryPenalties, type BreakerTails, type DryOptions } from '../../../src/engine/llama-cpp/dry-penalty.ts'

const options: DryOptions = { multiplier: 1, base: 2, allowedLength: 2, lastTokens: -1, breakers: new Map() }
const tokens = (text: string) => [...text].map((character) => asToken(character.charCodeAt(0)))
const penaltiesOf = (text: string, part: Partial<DryOptions> = {}): Record<string, number> =>
  Object.fromEntries([...dryPenalties(tokens(text), { ...options, ...part })].map(([token, penalty]) => [String.fromCharCode(token), penalty]))

/** Straight from the definition: for each next token, the longest text before one of its occurrences that also ends the history. */
function byDefinition (text: string, { multiplier, base, allowedLength }: DryOptions): Record<string, number> {
  const penalties: Record<string, number> = {}
  for (let at = 1; at < text.length; at++) {
    let length = 0
    while (length < at && text[at - 1 - length] === text[text.length - 1 - length]) length++
    const next = text[at] as string
    if (length >= allowedLength) penalties[next] = Math.max(penalties[next] ?? 0, multiplier * base ** (length - allowedLength))
  }
  return penalties
}

describe('DRY', () => {
  it('penalizes what would extend a repetition, the more the longer it is', () => {
    expect(penaltiesOf('abcXabc')).toEqual({ X: 2 })
    expect(penaltiesOf('abXab')).toEqual({ X: 1 })
    expect(penaltiesOf('aXa')).toEqual({})
  })

  it('takes the longest repetition of several', () => {
    expect(penaltiesOf('abcdX..cdX..abcd')).toMatchObject({ X: 4 })
  })

  it('equals its definition on any text', () => {
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom('a', 'b', 'c'), maxLength: 40 }), fc.integer({ min: 1, max: 4 }), (text, allowedLength) => {
      expect(penaltiesOf(text, { allowedLength })).toEqual(byDefinition(text, { ...options, allowedLength }))
    }), { numRuns: 2000 })
  })

  it('does not reach over a sequence breaker', () => {
    const breakers: BreakerTails = new Map([['.'.charCodeAt(0), [[]]]])
    expect(penaltiesOf('ab.cdXab.cd')).toEqual({ X: 8 })
    expect(penaltiesOf('ab.cdXab.cd', { breakers })).toEqual({ X: 1 })
    expect(penaltiesOf('cd.abcd', { breakers })).toEqual({})
  })

  it('knows breakers that take several tokens', () => {
    const breakers: BreakerTails = new Map([['<'.charCodeAt(0), [tokens('>')]]])
    expect(penaltiesOf('ab<>cdXab<>cd', { breakers })).toEqual({ X: 1 })
    expect(penaltiesOf('ab<|cdXab<|cd', { breakers })).toEqual({ X: 16 })
  })

  it('looks no further back than told', () => {
    expect(penaltiesOf('abcXabc', { lastTokens: 3 })).toEqual({})
    expect(penaltiesOf('abcXabc', { lastTokens: 0 })).toEqual({})
  })

  it('stays finite on endless repetition', () => {
    for (const penalty of Object.values(penaltiesOf('a'.repeat(5000), { base: 4 }))) expect(penalty).toBeLessThan(3.5e38)
  })
})
