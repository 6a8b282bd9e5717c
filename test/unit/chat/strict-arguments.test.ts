import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { ToolDefinition } from '../../../src/chat/chat-message.ts'
import { dialectNamed } from '../../../src/chat/dialects/dialects.ts'
import { ParameterTypes } from '../../../src/chat/structured/parameter-types.ts'
import { requiredCallGrammar } from '../../../src/chat/tool-grammar.ts'
import { ServerError } from '../../../src/domain/errors.ts'
import type { ToolDialect } from '../../../src/domain/tool-dialect.ts'
import { GbnfMatcher } from '../../support/gbnf-matcher.ts'
import { runs } from '../../support/long-run.ts'
import { strictSchemas } from '../../support/random-schemas.ts'
import { validatorOf } from '../../support/schema-oracle.ts'
import { collect, formatOf, partsOf } from './dialects/answer-cases.ts'

const tool = (parameters: Record<string, unknown>): ToolDefinition => ({ name: 'f', parameters, isStrict: true })

const grammarOf = (dialect: ToolDialect, parameters: Record<string, unknown>, template = ''): string => requiredCallGrammar({
  dialect: dialectNamed(dialect), tools: [tool(parameters)], callable: new Set(['f']), template, prompt: '', isParallel: false, reasoning: null
}).grammar

function readArguments (dialect: ToolDialect, parameters: Record<string, unknown>, text: string): string {
  const { calls = [], ...others } = collect(partsOf(formatOf(dialect, { tools: new Map([['f', new ParameterTypes(parameters)]]) }), [...text]))
  expect(others).toEqual({})
  expect(calls).toHaveLength(1)
  return calls[0]![1]
}

/** Null where the format cannot hold the schema. */
function matcherOf (dialect: ToolDialect, parameters: Record<string, unknown>): GbnfMatcher | null {
  try {
    return new GbnfMatcher(grammarOf(dialect, parameters))
  } catch (error) {
    if (error instanceof ServerError && error.code === 'unsupported_value') return null
    throw error
  }
}

describe.each(['hermes', 'qwen-coder', 'glm', 'lfm'] as const)('arguments of strict tools in the format of %s', (dialect) => {
  it('fit random schemas as they are read', () => {
    const cases = runs(25)
    let held = 0
    fc.assert(fc.property(strictSchemas, fc.array(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), { minLength: 40, maxLength: 120 }), (schema, dice) => {
      const matcher = matcherOf(dialect, schema)
      if (matcher === null) return
      held++
      const validate = validatorOf(schema)
      for (let walk = 0; walk < 3; walk++) {
        let at = walk * 7
        const text = matcher.walk(() => dice[at++ % dice.length]!, 20 + 30 * walk)
        const argumentText = readArguments(dialect, schema, text)
        if (!validate(JSON.parse(argumentText))) throw new Error(`${text} is read as ${argumentText}: ${JSON.stringify(validate.errors)}`)
      }
    }), { numRuns: cases })
    // Otherwise nothing was shown.
    expect(held).toBeGreaterThan(cases / 2)
  })
})

describe('texts without quotes', () => {
  const object = (properties: object, required = Object.keys(properties)): Record<string, unknown> => ({ type: 'object', properties, required, additionalProperties: false })
  const write = (values: Record<string, string>): string =>
    `<tool_call>\n<function=f>\n${Object.entries(values).map(([key, value]) => `<parameter=${key}>\n${value}\n</parameter>\n`).join('')}</function>\n</tool_call>`
  const accepts = (schema: Record<string, unknown>, values: Record<string, string>): boolean => new GbnfMatcher(grammarOf('qwen-coder', schema)).accepts(write(values))

  it('may be anything but their end', () => {
    const schema = object({ a: { type: 'string' } })
    for (const text of ['', 'x', 'a\n\n  b', '{"x": <</param </parameter', '京🌧️ "', '5']) {
      expect(accepts(schema, { a: text })).toBe(true)
      expect(JSON.parse(readArguments('qwen-coder', schema, write({ a: text })))).toEqual({ a: text })
    }
    expect(accepts(schema, { a: 'x</parameter>y' })).toBe(false)
  })

  it('keep to their limits', () => {
    expect(accepts(object({ a: { enum: ['red', 'blue'] } }), { a: 'red' })).toBe(true)
    expect(accepts(object({ a: { enum: ['red', 'blue'] } }), { a: 'green' })).toBe(false)
    expect(accepts(object({ a: { type: 'string', pattern: '^[a-c]+$' } }), { a: 'abc' })).toBe(true)
    expect(accepts(object({ a: { type: 'string', pattern: '^[a-c]+$' } }), { a: 'abd' })).toBe(false)
    expect(accepts(object({ a: { type: 'string', maxLength: 3 } }), { a: 'abc' })).toBe(true)
    expect(accepts(object({ a: { type: 'string', maxLength: 3 } }), { a: 'abcd' })).toBe(false)
    expect(accepts(object({ a: { type: 'string', maxLength: 3 } }), { a: '</p' })).toBe(true)
    expect(accepts(object({ a: { type: 'string', minLength: 1 } }), { a: '<' })).toBe(true)
    expect(accepts(object({ a: { type: 'string', minLength: 1 } }), { a: '' })).toBe(false)
    expect(accepts(object({ a: { type: 'string', maxLength: 300 } }), { a: 'x'.repeat(300) })).toBe(true)
    expect(accepts(object({ a: { type: 'string', maxLength: 300 } }), { a: 'x'.repeat(301) })).toBe(false)
    expect(accepts(object({ a: { type: 'string', format: 'date' } }), { a: '2026-02-28' })).toBe(true)
  })

  it('are not taken for values of other types that the schema has', () => {
    const either = object({ a: { anyOf: [{ type: 'string' }, { type: 'array', items: { type: 'integer' } }] } })
    expect(accepts(either, { a: '[1, 2]' })).toBe(true)
    expect(accepts(either, { a: '["x"]' })).toBe(false)
    expect(accepts(either, { a: 'x [1]' })).toBe(true)
    expect(accepts(object({ a: { type: ['string', 'null'] } }), { a: 'nothing' })).toBe(true)
    expect(JSON.parse(readArguments('qwen-coder', object({ a: { type: ['string', 'null'] } }), write({ a: 'null' })))).toEqual({ a: null })
  })

  it('leave out what is not required, and nothing else', () => {
    const schema = object({ a: { type: 'string' }, b: { type: 'integer' }, c: { type: 'boolean' } }, ['b'])
    for (const values of [{ b: '1' }, { a: 'x', b: '1' }, { b: '1', c: 'true' }, { a: 'x', b: '1', c: 'false' }]) expect(accepts(schema, values)).toBe(true)
    for (const values of [{}, { a: 'x' }, { b: 'x' }, { b: '1', a: 'x' }, { b: '1', c: 'True' }, { b: '1', d: 'x' }]) expect(accepts(schema, values)).toBe(false)
  })

  it('may be arguments of any name where the schema says nothing of them', () => {
    for (const schema of [{ type: 'object' }, { type: 'object', properties: {}, additionalProperties: {} }]) {
      for (const values of [{}, { x: '1' }, { x: '{"y": 1}', y: 'z' }]) expect(accepts(schema, values)).toBe(true)
    }
  })

  it.each<[string, Record<string, unknown>, string]>([
    ['alternatives for all arguments', { anyOf: [object({ a: {} }), object({ b: {} })] }, ''],
    ['a number of properties', { ...object({ a: {}, b: {} }, []), minProperties: 1 }, '.properties'],
    ['patterns for names', { type: 'object', patternProperties: { '^x': {} }, additionalProperties: false }, '.patternProperties'],
    ['limits for other properties alone', { type: 'object', additionalProperties: { type: 'string' } }, '.additionalProperties'],
    ['a name that would end its tag', object({ 'a>': {} }), '.properties.a>'],
    ['a text that is the end of texts', object({ a: { const: '</parameter>' } }), '.properties.a.const'],
    ['texts that are read as numbers', object({ a: { enum: ['5', 5] } }), '.properties.a.enum']
  ])('cannot be held with %s', (_what, schema, path) => {
    expect(() => grammarOf('qwen-coder', schema)).toThrow(expect.objectContaining({ code: 'unsupported_value', param: `tools[0].function.parameters${path}` }))
  })
})
