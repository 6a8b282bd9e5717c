import { describe, expect, it } from 'vitest'
import { jsonSchemaGrammar } from '../../../../src/chat/structured/json-schema-grammar.ts'

const open = { type: 'object', properties: { a: { type: 'string' } } }
const deep = (levels: number): unknown => levels === 0 ? {} : { type: 'array', items: deep(levels - 1) }

describe('a schema that cannot be kept', () => {
  it.each<[string, unknown, 'invalid_value' | 'unsupported_value', string, string]>([
    ['an unknown keyword', { type: 'object', properties: { x: { type: 'string', patern: 'a' } } }, 'unsupported_value', '.properties.x.patern', '"patern"'],
    ['not', { not: { type: 'string' } }, 'unsupported_value', '.not', '"not"'],
    ['if', { if: {}, then: {} }, 'unsupported_value', '.if', '"if"'],
    ['contains', { type: 'array', contains: {} }, 'unsupported_value', '.contains', ''],
    ['dependentRequired', { dependentRequired: {} }, 'unsupported_value', '.dependentRequired', ''],
    ['unevaluatedProperties', { ...open, unevaluatedProperties: false }, 'unsupported_value', '.unevaluatedProperties', ''],
    ['contentEncoding', { type: 'string', contentEncoding: 'base64' }, 'unsupported_value', '.contentEncoding', ''],
    ['$dynamicRef', { $dynamicRef: '#x' }, 'unsupported_value', '.$dynamicRef', ''],
    ['a reference elsewhere', { $ref: 'https://example.org/x.json' }, 'unsupported_value', '.$ref', 'to this schema itself'],
    ['an anchor', { $ref: '#name' }, 'unsupported_value', '.$ref', ''],
    ['a reference to nothing', { $ref: '#/$defs/x', $defs: {} }, 'invalid_value', '.$ref', 'nothing at'],
    ['a reference to what Object has', { $ref: '#/$defs/constructor', $defs: {} }, 'invalid_value', '.$ref', 'nothing at'],
    ['a reference that is none', { $ref: 1 }, 'invalid_value', '.$ref', 'a string'],
    ['a reference to itself', { $ref: '#' }, 'invalid_value', '', 'refers to itself'],
    ['references in a circle', { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/b' }, b: { $ref: '#/$defs/a' } } }, 'invalid_value', '.$defs.a', 'refers to itself'],
    ['alternatives in a circle', { anyOf: [{ type: 'null' }, { anyOf: [{ $ref: '#' }, { type: 'string' }] }] }, 'invalid_value', '.anyOf[1]', 'refers to itself'],
    ['a circle beside other keywords', { type: 'string', allOf: [{ $ref: '#' }] }, 'invalid_value', '', 'refers to itself'],
    ['no end', { type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] }, 'invalid_value', '', 'without end'],
    ['no end in a list', { type: 'array', items: { $ref: '#' }, minItems: 1 }, 'invalid_value', '', 'without end'],
    ['an unknown type', { type: 'float' }, 'invalid_value', '.type', 'one of'],
    ['a type of another type', { type: 3 }, 'invalid_value', '.type', ''],
    ['no type at all', { type: [] }, 'invalid_value', '.type', ''],
    ['nullable without a type', { nullable: true }, 'invalid_value', '.nullable', 'needs a "type"'],
    ['an empty enum', { enum: [] }, 'invalid_value', '.enum', 'at least one'],
    ['an enum that is none', { enum: 'a' }, 'invalid_value', '.enum', ''],
    ['enum with a length', { enum: ['a', 'bb'], maxLength: 1 }, 'unsupported_value', '.maxLength', 'together with "enum"'],
    ['enum and const', { enum: ['a'], const: 'a' }, 'unsupported_value', '.const', ''],
    ['too many values', { enum: Array.from({ length: 2001 }, (_, index) => index) }, 'unsupported_value', '.enum', '2001 values; the limit is 2000'],
    ['values of another type', { type: 'string', enum: [1] }, 'invalid_value', '', 'no value fits'],
    ['nothing', { not_a: 1, type: 'string' }, 'unsupported_value', '.not_a', ''],
    ['false', { type: 'object', properties: { a: false }, required: ['a'] }, 'invalid_value', '', 'no value fits'],
    ['types that exclude each other', { allOf: [{ type: 'string' }, { type: 'integer' }] }, 'invalid_value', '', 'no value fits'],
    ['properties that are none', { properties: [] }, 'invalid_value', '.properties', 'an object of schemas'],
    ['properties of null', { properties: null }, 'invalid_value', '.properties', ''],
    ['a property that is no schema', { properties: { a: 1 } }, 'invalid_value', '.properties.a', 'a schema is an object'],
    ['additionalProperties of null', { type: 'object', additionalProperties: null }, 'invalid_value', '.additionalProperties', 'a schema is an object'],
    ['required that is none', { type: 'object', required: 'a' }, 'invalid_value', '.required', 'list of strings'],
    ['patternProperties in an open object', { type: 'object', patternProperties: { '^a': {} } }, 'unsupported_value', '.patternProperties', 'only supported with one pattern'],
    ['several patternProperties', { type: 'object', patternProperties: { '^a': {}, '^b': {} }, additionalProperties: false }, 'unsupported_value', '.patternProperties', ''],
    ['patternProperties that match a name', { type: 'object', properties: { ab: {} }, patternProperties: { '^a': {} }, additionalProperties: false }, 'unsupported_value', '.patternProperties', ''],
    ['a broken patternProperties', { type: 'object', patternProperties: { '(': {} }, additionalProperties: false }, 'invalid_value', '.patternProperties.(', ''],
    ['propertyNames beside properties', { ...open, propertyNames: { pattern: '^a' } }, 'unsupported_value', '.propertyNames', ''],
    ['minProperties in an open object', { ...open, minProperties: 3 }, 'unsupported_value', '.properties', '"minProperties" (3)'],
    ['a broken count', { type: 'array', minItems: -1 }, 'invalid_value', '.minItems', 'at least 0'],
    ['half an item', { type: 'array', maxItems: 1.5 }, 'invalid_value', '.maxItems', 'an integer'],
    ['more items than can be counted', { type: 'array', maxItems: 200_000 }, 'unsupported_value', '.maxItems', '200000'],
    ['fewer items than there must be', { type: 'array', minItems: 3, maxItems: 2 }, 'invalid_value', '', 'no value fits'],
    ['more characters than can be counted', { type: 'string', maxLength: 1e9 }, 'unsupported_value', '.maxLength', '1000000000'],
    ['unique items', { type: 'array', items: {}, uniqueItems: true }, 'unsupported_value', '.uniqueItems', ''],
    ['additionalItems without a list', { type: 'array', items: {}, additionalItems: false }, 'unsupported_value', '.additionalItems', ''],
    ['prefixItems that are none', { type: 'array', prefixItems: {} }, 'invalid_value', '.prefixItems', 'list of schemas'],
    ['an invalid pattern', { type: 'string', pattern: 'a(' }, 'invalid_value', '.pattern', 'character 2'],
    ['a lookbehind', { type: 'string', pattern: '(?<=a)b' }, 'unsupported_value', '.pattern', 'a lookbehind'],
    ['a lookahead in the middle', { type: 'string', pattern: 'a(?=b)' }, 'unsupported_value', '.pattern', 'a lookahead'],
    ['a back reference', { type: 'string', pattern: '(a)\\1' }, 'unsupported_value', '.pattern', 'a back reference'],
    ['a word boundary', { type: 'string', pattern: '\\bx' }, 'unsupported_value', '.pattern', 'a word boundary'],
    ['a Unicode property', { type: 'string', pattern: '\\p{L}' }, 'unsupported_value', '.pattern', 'a Unicode property'],
    ['a pattern of too many states', { type: 'string', pattern: '^.{1,5000}$' }, 'unsupported_value', '.pattern', '2000 states'],
    ['a pattern that explodes', { type: 'string', pattern: '(a|b)*a(a|b){30}' }, 'unsupported_value', '.pattern', 'states'],
    ['a pattern that nests repetitions', { type: 'string', pattern: '^((((a{50}){50}){50}){50})$' }, 'unsupported_value', '.pattern', 'too large'],
    ['patterns that exclude each other', { type: 'string', allOf: [{ pattern: '^a' }, { pattern: '^b' }] }, 'invalid_value', '', 'no value fits'],
    ['a long pattern and a longer length', { type: 'string', pattern: 'a', maxLength: 5000 }, 'unsupported_value', '.pattern', 'lengths of more than 2000'],
    ['an unknown format', { type: 'string', format: 'uri' }, 'unsupported_value', '.format', '"uri"'],
    ['a format that Object has', { type: 'string', format: 'constructor' }, 'unsupported_value', '.format', ''],
    ['a minimum of another type', { minimum: '1' }, 'invalid_value', '.minimum', 'a number'],
    ['exclusiveMinimum as in old drafts', { type: 'number', minimum: 1, exclusiveMinimum: true }, 'invalid_value', '.exclusiveMinimum', 'a number'],
    ['an empty range', { type: 'integer', exclusiveMinimum: 1, exclusiveMaximum: 2 }, 'invalid_value', '', 'no value fits'],
    ['a limit that is too far', { type: 'integer', minimum: 1e15 }, 'unsupported_value', '.minimum', '15 digits'],
    ['a limit that is too fine', { type: 'number', minimum: 1e-7 }, 'unsupported_value', '.minimum', 'digits'],
    ['multiples of a fraction', { type: 'number', multipleOf: 0.1 }, 'unsupported_value', '.multipleOf', 'whole numbers'],
    ['multiples of nought', { type: 'number', multipleOf: 0 }, 'invalid_value', '.multipleOf', 'more than 0'],
    ['multiples of much', { type: 'integer', multipleOf: 99_991 }, 'unsupported_value', '.multipleOf', 'too many states'],
    ['no alternatives', { anyOf: [] }, 'invalid_value', '.anyOf', 'at least one'],
    ['oneOf that overlaps', { oneOf: [{ type: 'integer' }, { type: 'number' }] }, 'unsupported_value', '.oneOf', 'alternatives 0 and 1'],
    ['oneOf of objects without a mark', { oneOf: [open, { ...open, required: ['a'] }] }, 'unsupported_value', '.oneOf', ''],
    ['oneOf of keywords without a type', { oneOf: [{ minLength: 2 }, { minimum: 2 }] }, 'unsupported_value', '.oneOf', ''],
    ['too many combinations', { allOf: Array.from({ length: 9 }, () => ({ anyOf: [{ minLength: 1 }, { maxLength: 3 }] })) }, 'unsupported_value', '', '256 alternatives'],
    ['too many levels', deep(200), 'unsupported_value', '.items'.repeat(128), '128 levels'],
    ['too many properties', { type: 'object', properties: Object.fromEntries(Array.from({ length: 2001 }, (_, index) => [`p${index}`, {}])) }, 'unsupported_value', '.properties', '2001 properties'],
    ['too much work', { type: 'array', prefixItems: Array.from({ length: 500 }, (_, index) => ({ type: 'string', pattern: `[a-z]{1,40}@[a-z]{1,40}${index}` })) }, 'unsupported_value', '', '']
  ])('is refused at the keyword: %s', (_name, schema, code, pointer, message) => {
    let thrown: unknown
    try {
      jsonSchemaGrammar(schema, { prefix: 's', param: 'schema' })
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ code, param: `schema${pointer}`, message: expect.stringContaining(message) })
  })
})
