import { describe, expect, it } from 'vitest'
import { matcherOf, validatorOf } from '../../../support/schema-oracle.ts'

interface Case {
  readonly name: string
  readonly schema: unknown
  /** Texts that the grammar takes; a validator agrees. */
  readonly takes: readonly string[]
  /** Texts that it does not take, since the schema does not fit. */
  readonly refuses: readonly string[]
  /** Texts that fit, but are never written: docs/structured-output.md says so. */
  readonly leavesOut?: readonly string[]
}

const object = (properties: Record<string, unknown>, required = Object.keys(properties), more = {}): unknown =>
  ({ type: 'object', properties, required, additionalProperties: false, ...more })

const cases: readonly Case[] = [
  { name: 'an empty schema', schema: {}, takes: ['1', 'null', '[]', '{}', '{"a":[{"b":null}]}', '"x"', 'true', '-1.5e-7'], refuses: ['', 'nul', '[1,]', '{"a"}', '01', '1.', '+1', '.5', '"\n"', '{a:1}'], leavesOut: ['[1 ]', ' 1', '[ 1]', '{"a" :1}', '[1,  2]'] },
  { name: 'true', schema: true, takes: ['false', '[[],{}]'], refuses: ['x'] },
  { name: 'annotations', schema: { $schema: 'https://json-schema.org/draft/2020-12/schema', $comment: 'c', title: 't', description: 'd', default: 1, examples: [2], deprecated: true, readOnly: true, 'x-order': 1, type: 'null' }, takes: ['null'], refuses: ['1'] },
  { name: 'type string', schema: { type: 'string' }, takes: ['""', '"a"', '"\\""', '"\\\\"', '"\\/"', '"\\u0041"', '"\\ud83d\\ude00"', '"😀"', '"\u007f"', '"\u2028"'], refuses: ['"', '"a', 'a', '"\\"', '"\\x"', '"\\u00g0"', '"\\u12"', '"\t"', '"\u0000"', '"a"b'], leavesOut: ['"\\ud83d"', '"\\ude00"', '"\\ude00\\ud83d"'] },
  { name: 'type number', schema: { type: 'number' }, takes: ['0', '-0', '-1', '12.5', '1e5', '1E+5', '1e-300', '5e-324', '0.000001', '100000000000000000000'], refuses: ['', '-', '01', '1.', '.1', '1e', '1e+', 'NaN', 'Infinity', '0x1'], leavesOut: ['1e300', '1e400'] },
  { name: 'type integer', schema: { type: 'integer' }, takes: ['0', '-7', '999999999999999'], refuses: ['1.5', '1.', '00', '"1"'], leavesOut: ['1.0', '1e2', '1000000000000000'] },
  { name: 'type boolean', schema: { type: 'boolean' }, takes: ['true', 'false'], refuses: ['True', '1', 'null', ''] },
  { name: 'type null', schema: { type: 'null' }, takes: ['null'], refuses: ['""', '0', 'nil'] },
  { name: 'type object', schema: { type: 'object' }, takes: ['{}', '{"a":1}', '{"a": 1, "b": [2]}'], refuses: ['[]', '{"a":}', '{,}', '{"a":1,}'] },
  { name: 'type array', schema: { type: 'array' }, takes: ['[]', '[1]', '[1, "a",null]'], refuses: ['{}', '[,]', '[1 2]', '['] },
  { name: 'several types', schema: { type: ['string', 'null', 'integer'] }, takes: ['"a"', 'null', '3'], refuses: ['true', '[]', '1.5'] },
  { name: 'integer beside number', schema: { type: ['integer', 'number'] }, takes: ['1', '1.5'], refuses: ['"1"'] },
  { name: 'nullable', schema: { type: 'string', nullable: true }, takes: ['null', '"a"'], refuses: ['1'] },
  { name: 'enum', schema: { enum: ['red', 'green', 'grey', 1, 1.5, null, true, [1, 'a'], { a: { b: 1 } }] }, takes: ['"red"', '"grey"', '1', '1.5', 'null', 'true', '[1,"a"]', '{"a":{"b":1}}'], refuses: ['"re"', '"redd"', '2', 'false', '[1]', '{"a":1}', 'red'], leavesOut: ['[1, "a"]', '"\\u0072ed"'] },
  { name: 'enum with a type', schema: { type: ['string', 'integer'], enum: ['a', 1, 1.5, null] }, takes: ['"a"', '1'], refuses: ['1.5', 'null'] },
  { name: 'enum of awkward texts', schema: { enum: ['a"b\\c\n', '\u0001', '😀', '[x]^-', ''] }, takes: ['"a\\"b\\\\c\\n"', '"\\u0001"', '"😀"', '"[x]^-"', '""'], refuses: ['"a"b', '"x"'] },
  { name: 'const', schema: { const: { type: 'x', n: [1, 2] } }, takes: ['{"type":"x","n":[1,2]}'], refuses: ['{"type":"x"}', '{"type":"x","n":[1]}'] },
  { name: 'properties, required', schema: object({ a: { type: 'integer' }, b: { type: 'string' } }), takes: ['{"a":1,"b":""}', '{"a": 1, "b": "x"}'], refuses: ['{}', '{"a":1}', '{"b":""}', '{"a":1,"b":"","c":1}', '{"a":"1","b":""}', '{"a":1"b":""}'], leavesOut: ['{"b":"","a":1}', '{"\\u0061":1,"b":""}'] },
  { name: 'optional properties', schema: object({ a: { type: 'null' }, b: { type: 'null' }, c: { type: 'null' } }, ['b']), takes: ['{"b":null}', '{"a":null,"b":null}', '{"b":null,"c":null}', '{"a":null,"b":null,"c":null}'], refuses: ['{}', '{"a":null}', '{"a":null,"c":null}', '{,"b":null}', '{"b":null,}'] },
  { name: 'only optional properties', schema: object({ a: { type: 'null' }, b: { type: 'null' } }, []), takes: ['{}', '{"a":null}', '{"b":null}', '{"a":null,"b":null}'], refuses: ['{,}', '{"c":null}'], leavesOut: ['{"a":null,"a":null}'] },
  { name: 'awkward names', schema: object({ 'a"b': { const: 1 }, 'ü\n': { const: 2 }, '': { const: 3 }, __proto__x: { const: 4 } }), takes: ['{"a\\"b":1,"ü\\n":2,"":3,"__proto__x":4}'], refuses: ['{"a"b":1}'] },
  { name: 'names that every object inherits', schema: object({ toString: { type: 'null' }, constructor: { type: 'integer' }, valueOf: { type: 'null' } }, ['constructor']), takes: ['{"constructor":1}', '{"toString":null,"constructor":1,"valueOf":null}'], refuses: ['{}', '{"toString":null}'] },
  { name: 'additional properties, by default', schema: { type: 'object', properties: { ab: { type: 'null' } } }, takes: ['{}', '{"ab":null}', '{"ab":null,"x":1}', '{"a":1}', '{"abc":[]}', '{"":1, "é":2}', '{"a\\"":1,"\\n":2,"\\u0001":3}'], refuses: ['{"ab":1}', '{"x":}', '{"a":1,}'], leavesOut: ['{"a\\u0062":null}', '{"x":1,"ab":null}', '{"\\/":1}'] },
  { name: 'additionalProperties with a schema', schema: { type: 'object', properties: { a: { type: 'null' } }, required: ['a'], additionalProperties: { type: 'integer' } }, takes: ['{"a":null}', '{"a":null,"b":1,"c":2}'], refuses: ['{"b":1}', '{"a":1}', '{"a":null,"b":"x"}'] },
  { name: 'required without a property', schema: { type: 'object', required: ['x'], additionalProperties: { type: 'integer' } }, takes: ['{"x":1}', '{"x":1,"y":2}'], refuses: ['{}', '{"y":2}', '{"x":"1"}'] },
  { name: 'a property that nothing fits', schema: { type: 'object', properties: { a: false, b: { type: 'null' } }, additionalProperties: false }, takes: ['{}', '{"b":null}'], refuses: ['{"a":1}'] },
  { name: 'patternProperties', schema: { type: 'object', properties: { id: { type: 'null' } }, patternProperties: { '^x-': { type: 'integer' } }, additionalProperties: false }, takes: ['{}', '{"x-a":1}', '{"id":null,"x-":1,"x-b":2}'], refuses: ['{"y":1}', '{"x-a":"s"}', '{"ax-":1}'] },
  { name: 'propertyNames that say nothing', schema: { type: 'object', properties: { a: { type: 'null' } }, propertyNames: { type: 'string' }, additionalProperties: { type: 'integer' } }, takes: ['{"a":null,"b":1}'], refuses: ['{"b":null}'] },
  { name: 'propertyNames with a pattern', schema: { type: 'object', propertyNames: { pattern: '^[a-z]+$' }, additionalProperties: { type: 'integer' } }, takes: ['{}', '{"ab":1}', '{"a":1,"b":2}'], refuses: ['{"A":1}', '{"":1}', '{"a":"x"}'] },
  { name: 'propertyNames with a list', schema: { type: 'object', propertyNames: { enum: ['b', 'a'] }, properties: { a: { type: 'null' } }, additionalProperties: { type: 'integer' }, required: ['b'] }, takes: ['{"b":1}', '{"a":null,"b":1}'], refuses: ['{}', '{"c":1,"b":1}', '{"a":1,"b":1}'] },
  { name: 'minProperties', schema: object({ a: { const: 1 }, b: { const: 2 }, c: { const: 3 } }, ['b'], { minProperties: 2 }), takes: ['{"a":1,"b":2}', '{"b":2,"c":3}', '{"a":1,"b":2,"c":3}'], refuses: ['{"b":2}', '{}'] },
  { name: 'maxProperties', schema: object({ a: { const: 1 }, b: { const: 2 }, c: { const: 3 } }, ['c'], { maxProperties: 2 }), takes: ['{"c":3}', '{"a":1,"c":3}', '{"b":2,"c":3}'], refuses: ['{"a":1,"b":2,"c":3}', '{"a":1,"b":2}'] },
  { name: 'minProperties and maxProperties of a map', schema: { type: 'object', additionalProperties: { const: 1 }, minProperties: 1, maxProperties: 2 }, takes: ['{"a":1}', '{"a":1,"b":1}'], refuses: ['{}', '{"a":1,"b":1,"c":1}'] },
  { name: 'maxProperties beside names', schema: { type: 'object', properties: { a: { const: 1 } }, additionalProperties: { const: 2 }, maxProperties: 2 }, takes: ['{}', '{"a":1,"b":2}', '{"b":2,"c":2}'], refuses: ['{"a":1,"b":2,"c":2}', '{"b":2,"c":2,"d":2}'] },
  { name: 'maxProperties of nought', schema: { type: 'object', maxProperties: 0 }, takes: ['{}'], refuses: ['{"a":1}'] },
  { name: 'items', schema: { type: 'array', items: { type: 'integer' } }, takes: ['[]', '[1]', '[1,2, 3]'], refuses: ['["1"]', '[1,]'], leavesOut: ['[1 ,2]'] },
  { name: 'items of false', schema: { type: 'array', items: false }, takes: ['[]'], refuses: ['[1]'] },
  { name: 'prefixItems', schema: { type: 'array', prefixItems: [{ type: 'integer' }, { type: 'null' }] }, takes: ['[]', '[1]', '[1,null]', '[1,null,"x"]'], refuses: ['["x"]', '[1,2]', '[null]'] },
  { name: 'prefixItems and no more', schema: { type: 'array', prefixItems: [{ type: 'integer' }, { type: 'null' }], items: false, minItems: 1 }, takes: ['[1]', '[1,null]'], refuses: ['[]', '[1,null,2]'] },
  { name: 'prefixItems and items', schema: { type: 'array', prefixItems: [{ type: 'null' }], items: { type: 'integer' }, minItems: 2, maxItems: 3 }, takes: ['[null,1]', '[null,1,2]'], refuses: ['[null]', '[null,1,2,3]', '[null,null]'] },
  { name: 'items as in old drafts', schema: { type: 'array', items: [{ type: 'null' }, { type: 'integer' }], additionalItems: false }, takes: ['[]', '[null]', '[null,1]'], refuses: ['[null,1,1]', '[1]'] },
  { name: 'minItems, maxItems', schema: { type: 'array', items: { const: 1 }, minItems: 2, maxItems: 4 }, takes: ['[1,1]', '[1,1,1]', '[1,1,1,1]'], refuses: ['[]', '[1]', '[1,1,1,1,1]'] },
  { name: 'many items', schema: { type: 'array', items: { const: 1 }, minItems: 70, maxItems: 3000 }, takes: [70, 71, 100, 1234, 2999, 3000].map((count) => JSON.stringify(Array(count).fill(1))), refuses: [0, 69, 3001].map((count) => JSON.stringify(Array(count).fill(1))) },
  { name: 'maxItems of nought', schema: { type: 'array', maxItems: 0 }, takes: ['[]'], refuses: ['[1]'] },
  { name: 'uniqueItems that goes without saying', schema: { type: 'array', items: { const: 1 }, maxItems: 1, uniqueItems: true }, takes: ['[]', '[1]'], refuses: ['[1,1]'] },
  { name: 'minLength, maxLength', schema: { type: 'string', minLength: 2, maxLength: 3 }, takes: ['"ab"', '"abc"', '"😀😀"', '"\\u0041\\n"', '"\\ud83d\\ude00x"'], refuses: ['""', '"a"', '"abcd"', '"😀"', '"\\ud83d\\ude00"'] },
  { name: 'long strings', schema: { type: 'string', minLength: 100, maxLength: 5000 }, takes: [100, 101, 169, 170, 4999, 5000].map((length) => `"${'x'.repeat(length)}"`), refuses: [99, 5001].map((length) => `"${'x'.repeat(length)}"`) },
  { name: 'pattern', schema: { type: 'string', pattern: '^[A-Z]{2}\\d+$' }, takes: ['"AB1"', '"XY123"'], refuses: ['"AB"', '"ab1"', '"AB1x"', '"xAB1"'] },
  { name: 'pattern without anchors', schema: { type: 'string', pattern: 'a.c' }, takes: ['"abc"', '"xxabcyy"', '"a\\"c"', '"aacac\\u0001"'], refuses: ['"ac"', '"a\\nc"', '""'] },
  { name: 'pattern with one anchor each', schema: { type: 'string', pattern: '^ab|yz$' }, takes: ['"ab"', '"abx"', '"xyz"', '"yz"'], refuses: ['"xab"', '"yzx"', '"x"'] },
  { name: 'pattern with characters to escape', schema: { type: 'string', pattern: '^["\\\\\\n\\u0001]*$' }, takes: ['""', '"\\"\\\\\\n\\u0001"'], refuses: ['"a"', '"\\t"'] },
  { name: 'pattern with lengths', schema: { type: 'string', pattern: '^a*b*$', minLength: 2, maxLength: 3 }, takes: ['"aa"', '"abb"', '"bbb"'], refuses: ['"a"', '"aaaa"', '"ba"'] },
  { name: 'two patterns', schema: { type: 'string', allOf: [{ pattern: 'a' }, { pattern: '^.{3}$' }, { pattern: 'b' }] }, takes: ['"abx"', '"xba"'], refuses: ['"axx"', '"ab"'] },
  { name: 'minimum, maximum of integers', schema: { type: 'integer', minimum: -12, maximum: 105 }, takes: ['-12', '-9', '-1', '0', '9', '10', '99', '100', '105'], refuses: ['-13', '106', '110', '1000', '-120'] },
  { name: 'exclusive limits of integers', schema: { type: 'integer', exclusiveMinimum: 1, exclusiveMaximum: 4.5 }, takes: ['2', '3', '4'], refuses: ['1', '5', '0'] },
  { name: 'minimum alone', schema: { type: 'integer', minimum: 18 }, takes: ['18', '19', '20', '100', '999999999999999'], refuses: ['17', '1', '-18', '0'] },
  { name: 'limits that no number gets to', schema: { type: 'integer', minimum: -9007199254740991, maximum: 9223372036854775000 }, takes: ['0', '-999999999999999'], refuses: ['1.5'] },
  { name: 'minimum, maximum of numbers', schema: { type: 'number', minimum: -1.5, maximum: 10.25 }, takes: ['-1.5', '-1.49', '-0.001', '0', '5.123', '10', '10.2', '10.25', '10.24999', '-1.500'], refuses: ['-1.51', '-2', '10.251', '10.3', '11', '100'], leavesOut: ['1e0'] },
  { name: 'exclusive limits of numbers', schema: { type: 'number', exclusiveMinimum: 0, exclusiveMaximum: 1 }, takes: ['0.5', '0.00000000000001', '0.99999999999999'], refuses: ['0', '1', '-0.5', '0.0', '1.0', '-0'] },
  { name: 'limits below nought', schema: { type: 'number', minimum: -20.5, exclusiveMaximum: -3 }, takes: ['-20.5', '-3.1', '-19', '-3.0001'], refuses: ['-3', '-20.6', '-2.9', '-21', '0', '3.5', '-3.0'] },
  { name: 'multipleOf', schema: { type: 'integer', multipleOf: 7 }, takes: ['0', '7', '-14', '994', '700000000000000'], refuses: ['1', '8', '-6', '07'] },
  { name: 'multipleOf within limits', schema: { type: 'number', multipleOf: 250, minimum: 200, maximum: 1000 }, takes: ['250', '500', '1000'], refuses: ['0', '200', '1250', '2500', '50'] },
  { name: 'multipleOf with many remainders', schema: { type: 'integer', multipleOf: 59, minimum: 0, maximum: 9999 }, takes: ['0', '59', '118', '5959'], refuses: ['1', '60', '58', '10030'] },
  { name: 'multipleOf a power of ten', schema: { type: 'number', multipleOf: 10_000 }, takes: ['0', '-10000', '120000'], refuses: ['1000', '10001', '00000'] },
  { name: 'several multiples', schema: { allOf: [{ multipleOf: 4 }, { multipleOf: 6 }], type: 'integer', minimum: 0, maximum: 40 }, takes: ['0', '12', '24', '36'], refuses: ['4', '6', '18'] },
  { name: 'anyOf', schema: { anyOf: [{ type: 'string' }, { type: 'integer', minimum: 3, maximum: 5 }] }, takes: ['"a"', '3'], refuses: ['2', 'null'] },
  { name: 'anyOf beside other keywords', schema: { type: 'object', properties: { a: { type: 'integer' } }, anyOf: [{ required: ['a'] }, { required: ['b'], properties: { b: { type: 'null' } } }] }, takes: ['{"a":1}', '{"b":null}', '{"a":1,"b":null}'], refuses: ['{}', '{"c":1}', '{"a":"x"}'] },
  { name: 'oneOf of different types', schema: { oneOf: [{ type: 'string' }, { type: 'null' }] }, takes: ['"a"', 'null'], refuses: ['1'] },
  { name: 'oneOf told apart by a property', schema: { oneOf: [object({ kind: { const: 'a' }, x: { type: 'integer' } }), object({ kind: { enum: ['b', 'c'] } })] }, takes: ['{"kind":"a","x":1}', '{"kind":"c"}'], refuses: ['{"kind":"a"}', '{"kind":"b","x":1}'] },
  { name: 'allOf of objects', schema: { allOf: [{ type: 'object', properties: { a: { type: 'integer' } }, required: ['a'] }, { properties: { b: { type: 'null' }, a: { minimum: 3 } } }] }, takes: ['{"a":3}', '{"a":4,"b":null}', '{"a":5,"c":1}'], refuses: ['{"a":1}', '{"b":null}'] },
  { name: 'allOf of closed objects', schema: { allOf: [{ type: 'object', properties: { a: { const: 1 }, b: { const: 2 } }, additionalProperties: false }, { properties: { a: true }, additionalProperties: { type: 'integer' } }] }, takes: ['{}', '{"a":1}', '{"b":2}', '{"a":1,"b":2}'], refuses: ['{"c":3}'] },
  { name: 'allOf of types, values and lengths', schema: { allOf: [{ type: ['string', 'integer', 'number'] }, { type: ['number', 'null'] }, { enum: [1, 2, null, 2.5] }, { enum: [2, 2.5, null] }] }, takes: ['2', '2.5'], refuses: ['1', 'null', '3'] },
  { name: '$ref', schema: { type: 'object', properties: { a: { $ref: '#/$defs/~1x~0%20y' } }, required: ['a'], additionalProperties: false, $defs: { '/x~ y': { type: 'integer' } } }, takes: ['{"a":1}'], refuses: ['{"a":"1"}'] },
  { name: '$ref beside other keywords', schema: { $ref: '#/definitions/n', minimum: 3, definitions: { n: { type: 'integer', maximum: 5 } } }, takes: ['3', '5'], refuses: ['2', '6'] },
  { name: 'recursion', schema: { $ref: '#/$defs/node', $defs: { node: object({ v: { type: 'integer' }, next: { anyOf: [{ $ref: '#/$defs/node' }, { type: 'null' }] } }) } }, takes: ['{"v":1,"next":null}', '{"v":1,"next":{"v":2,"next":{"v":3,"next":null}}}'], refuses: ['{"v":1}', '{"v":1,"next":{"v":2}}'] },
  { name: 'recursion to the root', schema: { type: 'object', properties: { children: { type: 'array', items: { $ref: '#' } } }, required: ['children'], additionalProperties: false }, takes: ['{"children":[]}', '{"children":[{"children":[]},{"children":[{"children":[]}]}]}'], refuses: ['{}', '{"children":[1]}'] },
  { name: 'keywords without a type', schema: { minLength: 2 }, takes: ['"ab"'], refuses: ['"a"'], leavesOut: ['1', 'null', '{}'] },
  { name: 'format date', schema: { type: 'string', format: 'date' }, takes: ['"2024-02-29"', '"2023-02-28"', '"2000-02-29"', '"1999-12-31"', '"2024-04-30"'], refuses: ['"2023-02-29"', '"1900-02-29"', '"2024-04-31"', '"2024-13-01"', '"2024-00-10"', '"2024-1-1"', '"x"'] },
  { name: 'format time', schema: { type: 'string', format: 'time' }, takes: ['"23:59:59Z"', '"00:00:00.123+05:30"', '"12:30:00-00:00"'], refuses: ['"24:00:00Z"', '"12:60:00Z"', '"12:30Z"', '"1:00:00Z"', '"12:00:00+24:00"'], leavesOut: ['"23:59:60Z"', '"12:00:00z"'] },
  { name: 'format date-time', schema: { type: 'string', format: 'date-time' }, takes: ['"2024-02-29T12:30:00Z"', '"2024-06-01T00:00:00.5-08:00"'], refuses: ['"2024-02-30T12:30:00Z"', '"2024-02-29"', '"2024-02-29T12:30:00"'], leavesOut: ['"2024-02-29 12:30:00Z"'] },
  { name: 'format duration', schema: { type: 'string', format: 'duration' }, takes: ['"P1Y"', '"P1Y2M3D"', '"PT1H"', '"P1DT12H30M5S"', '"P3W"', '"PT0S"'], refuses: ['"P"', '"PT"', '"1Y"', '"P1H"', '"P1W2D"'] },
  { name: 'format uuid', schema: { type: 'string', format: 'uuid' }, takes: ['"123e4567-e89b-12d3-a456-426614174000"', '"123E4567-E89B-12D3-A456-426614174000"'], refuses: ['"123e4567e89b12d3a456426614174000"', '"g23e4567-e89b-12d3-a456-426614174000"'], leavesOut: ['"urn:uuid:123e4567-e89b-12d3-a456-426614174000"'] },
  { name: 'format ipv4', schema: { type: 'string', format: 'ipv4' }, takes: ['"0.0.0.0"', '"255.255.255.255"', '"10.1.199.250"'], refuses: ['"256.1.1.1"', '"1.1.1"', '"01.1.1.1"', '"1.1.1.1.1"'] },
  { name: 'format ipv6', schema: { type: 'string', format: 'ipv6' }, takes: ['"::"', '"::1"', '"1::"', '"2001:db8::ff00:42:8329"', '"1:2:3:4:5:6:7:8"', '"1:2:3:4:5:6:7::"', '"::2:3:4:5:6:7:8"'], refuses: ['":"', '"1:2:3"', '"1::2::3"', '"12345::"', '"1:2:3:4:5:6:7:8:9"', '"1:2:3:4:5:6:7:8::"'], leavesOut: ['"::ffff:1.2.3.4"'] },
  { name: 'format hostname', schema: { type: 'string', format: 'hostname' }, takes: ['"localhost"', '"a-b.example.org"', '"1.2"'], refuses: ['"-a"', '"a-"', '"a..b"', '""', '"a_b"', `"${'a'.repeat(64)}"`], leavesOut: ['"a.b.c.d"'] },
  { name: 'format email', schema: { type: 'string', format: 'email' }, takes: ['"a@b.c"', '"first.last+tag@mail.example.org"'], refuses: ['"a"', '"@b.c"', '"a@b"', '"a..b@c.d"', '"a@-b.c"', '"a b@c.d"'] },
  { name: 'format uri', schema: { type: 'string', format: 'uri' }, takes: ['"https://example.org"', '"http://a.b-c.org:8080/x/%20?q=1&r=(2)#top"'], refuses: ['"example.org"', '"https://a b"', '"https://a.org/%zz"', '"https://a.org/<"'], leavesOut: ['"https://"', '"mailto:a@b.c"', '"https://127.0.0.1/"'] },
  { name: 'a format that only names a pattern', schema: { type: 'string', format: 'starts_with', pattern: '^ab.*' }, takes: ['"ab"', '"abc"'], refuses: ['"b"'] },
  { name: 'format with lengths and a pattern', schema: { type: 'string', format: 'email', pattern: '@example\\.org$', maxLength: 14 }, takes: ['"a@example.org"', '"ab@example.org"'], refuses: ['"abc@example.org"', '"a@example.com"'] }
]

describe('what the grammar of a schema accepts', () => {
  it.each(cases)('$name', ({ schema, takes, refuses, leavesOut = [] }) => {
    const matcher = matcherOf(schema)
    const validate = validatorOf(schema)
    const isValid = (text: string): boolean => {
      try {
        return validate(JSON.parse(text))
      } catch {
        return false
      }
    }
    expect(takes.filter((text) => !matcher.accepts(text))).toEqual([])
    expect(takes.filter((text) => !isValid(text))).toEqual([])
    expect([...refuses, ...leavesOut].filter((text) => matcher.accepts(text))).toEqual([])
    // Those of them that are JSON at all are left out where the validator takes them, else refused.
    expect(leavesOut.filter((text) => !isValid(text))).toEqual([])
    expect(refuses.filter((text) => isValid(text))).toEqual([])
  })
})
