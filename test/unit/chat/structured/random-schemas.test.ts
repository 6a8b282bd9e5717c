import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { runs } from '../../../support/long-run.ts'
import { randomSchemas } from '../../../support/random-schemas.ts'
import { matcherOf, validatorOf } from '../../../support/schema-oracle.ts'

/** Schemas that are large by chance; few are, or the properties would fail for want of cases. */
function matcherUnlessTooLarge (schema: unknown) {
  try {
    return matcherOf(schema)
  } catch (error) {
    fc.pre(!/too large|more than/.test(String(error)))
    throw error
  }
}

describe('the grammar of a random schema', () => {
  it('accepts only what a validator accepts', () => {
    fc.assert(fc.property(randomSchemas.map(({ schema }) => schema), fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 40, maxLength: 120 }), (schema, dice) => {
      const matcher = matcherUnlessTooLarge(schema)
      const validate = validatorOf(schema)
      for (let walk = 0; walk < 4; walk++) {
        let at = walk * 7
        const text = matcher.walk(() => dice[at++ % dice.length]!, 15 * walk)
        expect(matcher.accepts(text)).toBe(true)
        if (!validate(JSON.parse(text))) throw new Error(`${text} does not fit: ${JSON.stringify(validate.errors)}`)
      }
    }), { numRuns: runs(120) })
  })

  it('accepts what fits the schema', () => {
    fc.assert(fc.property(randomSchemas.chain(({ schema, values }) => fc.tuple(fc.constant(schema), fc.array(values, { minLength: 1, maxLength: 4 }))), ([schema, values]) => {
      const matcher = matcherUnlessTooLarge(schema)
      const validate = validatorOf(schema)
      for (const value of values) {
        const text = JSON.stringify(value)
        if (!validate(value)) throw new Error(`The test is wrong: ${text} does not fit`)
        if (!matcher.accepts(text)) throw new Error(`${text} is not accepted`)
      }
    }), { numRuns: runs(120) })
  })
})
