import fc from 'fast-check'

/** A schema, and values that fit it and that the grammar writes. */
export interface RandomSchema {
  readonly schema: Record<string, unknown>
  readonly values: fc.Arbitrary<unknown>
}

const text = fc.string({ unit: fc.oneof({ weight: 4, arbitrary: fc.constantFrom(...'abcXYZ019 _-."\\/\n\t\u0001é😀') }, { weight: 1, arbitrary: fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }) }), maxLength: 8 })
const range = (most: number): fc.Arbitrary<readonly [number, number]> => fc.tuple(fc.nat(most), fc.nat(most)).map(([a, b]) => [Math.min(a, b), Math.max(a, b)])

const strings: fc.Arbitrary<RandomSchema> = fc.oneof(
  fc.constant({ schema: { type: 'string' }, values: text }),
  range(12).map(([minLength, maxLength]) => ({
    schema: { type: 'string', minLength, maxLength },
    values: fc.array(fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }), { minLength, maxLength }).map((characters) => characters.join(''))
  })),
  fc.constantFrom('^[a-c]{2,4}$', '\\d+-\\d', '[^"]$', '^(foo|bar|f\\d)*$', '^\\S+@\\S+\\.[a-z]{2,3}$').map((pattern) => ({
    schema: { type: 'string', pattern },
    values: fc.stringMatching(new RegExp(pattern, 'u')).filter((value) => value.isWellFormed())
  })),
  fc.constantFrom(...([['date', /^20\d\d-0[13578]-[12]\d$/], ['uuid', /^[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-a[\da-f]{3}-[\da-f]{12}$/], ['ipv4', /^1?\d\.2[0-4]\d\.0\.[1-9]$/], ['date-time', /^1999-12-31T23:5\d:5\d(\.\d{3})?Z$/], ['time', /^1\d:5\d:5\d[+-]0\d:00$/]] as const))
    .map(([format, pattern]) => ({ schema: { type: 'string', format }, values: fc.stringMatching(pattern) }))
)

const numbers: fc.Arbitrary<RandomSchema> = fc.oneof(
  fc.constant({ schema: { type: 'integer' }, values: fc.integer() }),
  fc.tuple(fc.integer({ min: -5000, max: 5000 }), fc.nat(3000)).map(([minimum, width]) => ({
    schema: { type: 'integer', minimum, maximum: minimum + width }, values: fc.integer({ min: minimum, max: minimum + width })
  })),
  fc.tuple(fc.integer({ min: 1, max: 16 }), fc.boolean()).map(([multipleOf, isNumber]) => ({
    schema: { type: isNumber ? 'number' : 'integer', multipleOf }, values: fc.integer({ min: -1_000_000, max: 1_000_000 }).map((value) => value * multipleOf)
  })),
  fc.constant({ schema: { type: 'number' }, values: fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e99, max: 1e99 }) }),
  fc.tuple(fc.integer({ min: -9999, max: 9999 }), fc.integer({ min: 2, max: 9999 }), fc.boolean(), fc.boolean()).map(([low, width, isOpenLow, isOpenHigh]) => ({
    schema: { type: 'number', [isOpenLow ? 'exclusiveMinimum' : 'minimum']: low / 100, [isOpenHigh ? 'exclusiveMaximum' : 'maximum']: (low + width) / 100 },
    values: fc.integer({ min: low + 1, max: low + width - 1 }).map((value) => value / 100)
  }))
)

const values: fc.Arbitrary<RandomSchema> = fc.oneof(
  fc.constant({ schema: { type: 'boolean' }, values: fc.boolean() }),
  fc.constant({ schema: { type: 'null' }, values: fc.constant(null) }),
  fc.array(fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null), fc.constant({ a: [1, 'x'] })), { minLength: 1, maxLength: 6 })
    .map((list) => ({ schema: { enum: list }, values: fc.constantFrom(...list) })),
  text.map((value) => ({ schema: { const: value }, values: fc.constant(value) }))
)

const name = fc.oneof(fc.constantFrom('a', 'ab', 'b', 'name', 'kind', 'some key'), text)

const { schema } = fc.letrec<{ schema: RandomSchema, object: RandomSchema, array: RandomSchema, union: RandomSchema }>((tie) => ({
  schema: fc.oneof({ depthSize: 'small', withCrossShrink: true }, fc.oneof(strings, numbers, values), tie('object'), tie('array'), tie('union')),
  object: fc.record({
    members: fc.uniqueArray(fc.tuple(name, tie('schema'), fc.boolean()), { selector: ([key]) => key, maxLength: 5 }),
    additional: fc.option(tie('schema'), { nil: null }),
    isStrict: fc.boolean()
  }).map(({ members: unordered, additional, isStrict }) => {
    // Objects in JavaScript have whole numbers first, and "__proto__" means something else.
    const members = unordered.filter(([key]) => key !== '__proto__' && !/^\d+$/.test(key))
    const required = members.filter(([,, isRequired]) => isRequired || isStrict).map(([key]) => key)
    const known = fc.record(Object.fromEntries(members.map(([key, member]) => [key, member.values])), { requiredKeys: required })
    const extras = isStrict || additional === null ? fc.constant({}) : fc.dictionary(text.map((key) => `+${key}`), additional.values, { maxKeys: 3 })
    return {
      schema: {
        type: 'object',
        properties: Object.fromEntries(members.map(([key, member]) => [key, member.schema])),
        required,
        additionalProperties: isStrict || additional === null ? false : additional.schema
      },
      values: fc.tuple(known, extras).map(([one, other]): unknown => ({
        ...Object.fromEntries(members.filter(([key]) => Object.hasOwn(one, key)).map(([key]) => [key, one[key]])),
        ...Object.fromEntries(Object.entries(other).filter(([key]) => !members.some(([known]) => known === key)))
      }))
    }
  }),
  array: fc.record({ item: tie('schema'), first: fc.array(tie('schema'), { maxLength: 2 }), counts: range(4) }).map(({ item, first, counts: [minItems, maxItems] }) => ({
    schema: { type: 'array', ...(first.length === 0 ? {} : { prefixItems: first.map((part) => part.schema) }), items: item.schema, minItems, maxItems },
    values: fc.integer({ min: minItems, max: maxItems }).chain((length) =>
      fc.tuple(...Array.from({ length }, (_, index) => (first[index] ?? item).values)))
  })),
  union: fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map((branches) => ({
    schema: { anyOf: branches.map((branch) => branch.schema) }, values: fc.oneof(...branches.map((branch) => branch.values))
  }))
}))

export const randomSchemas = schema

/** Closed objects whose properties are all required, as OpenAI's strict mode asks, everything in them as it comes. */
export const strictSchemas: fc.Arbitrary<Record<string, unknown>> =
  fc.uniqueArray(fc.tuple(fc.constantFrom('a', 'b', 'name', 'tags', 'nested'), schema), { selector: ([key]) => key, minLength: 1, maxLength: 4 }).map((members) => ({
    type: 'object',
    properties: Object.fromEntries(members.map(([key, member]) => [key, closed(member.schema)])),
    required: members.map(([key]) => key),
    additionalProperties: false
  }))

function closed (part: unknown): unknown {
  if (Array.isArray(part)) return part.map(closed)
  if (typeof part !== 'object' || part === null) return part
  if ('enum' in part || 'const' in part) return part
  const inner = Object.fromEntries(Object.entries(part).map(([key, value]) =>
    [key, key === 'properties' ? Object.fromEntries(Object.entries(value as object).map(([name, member]) => [name, closed(member)])) : closed(value)]))
  return 'properties' in part ? { ...inner, required: Object.keys(part.properties as object), additionalProperties: false } : inner
}
