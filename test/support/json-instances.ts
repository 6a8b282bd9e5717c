import fc from 'fast-check'
import type { JsonSchema } from '../../src/http/schemas/wire-form.ts'

export type Json = null | boolean | number | string | Json[] | { [member: string]: Json }

/** More than this in one list or object makes tests slow and finds nothing. */
const maxMembers = 3
const maxLength = 12

/** Anything at all, of the kinds that people confuse. */
export const anything = fc.oneof(
  { arbitrary: fc.constantFrom<Json[]>(null, true, false, 0, 1, -1, 0.5, 3, 1e6, '', 'x', 'auto', 'a'.repeat(300), 'a'.repeat(1100), [], {}, ['x'], [1], { type: 'text' }, { type: 'function', name: 'f' }), weight: 3 },
  { arbitrary: fc.jsonValue({ maxDepth: 2 }).filter((value) => !JSON.stringify(value).includes('"__proto__"')) as fc.Arbitrary<Json>, weight: 1 }
)

/** Random values that a JSON Schema accepts; of its keywords those that this server's OpenAPI document uses. */
export function instancesOf (schema: JsonSchema, definitions: Readonly<Record<string, JsonSchema>> = {}): fc.Arbitrary<Json> {
  const of = (part: unknown): fc.Arbitrary<Json> => instancesOf(part as JsonSchema, definitions)
  const { $ref, anyOf, oneOf, type, enum: values } = schema as { $ref?: string, anyOf?: JsonSchema[], oneOf?: JsonSchema[], type?: string | string[], enum?: Json[] }
  if ($ref !== undefined) {
    const name = $ref.split('/').at(-1)!
    if (definitions[name] === undefined) throw new Error(`There is no ${$ref}`)
    return of(definitions[name])
  }
  if ('const' in schema) return fc.constant(schema['const'] as Json)
  if (values !== undefined) return fc.constantFrom(...values)
  if (anyOf !== undefined) return fc.oneof(...anyOf.map(of))
  // Beside other keywords it says which members are there together.
  if (oneOf !== undefined && type === undefined) return fc.oneof(...oneOf.map(of))
  if (oneOf !== undefined) {
    return fc.oneof(...oneOf.map(({ required }) => {
      const others = new Set(oneOf.flatMap((option) => option['required'] as string[]).filter((name) => !(required as string[]).includes(name)))
      const properties = Object.fromEntries(Object.entries(schema['properties'] as object).filter(([name]) => !others.has(name)))
      return of({ ...schema, oneOf: undefined, properties, required })
    }))
  }
  if (Array.isArray(type)) return fc.oneof(...type.map((name) => of({ ...schema, type: name })))
  switch (type) {
    case undefined: return anything
    case 'null': return fc.constant(null)
    case 'boolean': return fc.boolean()
    case 'integer': return numbersOf(schema, true)
    case 'number': return numbersOf(schema, false)
    case 'string': return textsOf(schema)
    case 'array': return listsOf(schema, of)
    case 'object': return objectsOf(schema, of)
    default: throw new Error(`Cannot make values of the type ${JSON.stringify(type)}`)
  }
}

function numbersOf ({ minimum = -1e6, maximum = 1e6 }: { minimum?: number, maximum?: number }, isInteger: boolean): fc.Arbitrary<Json> {
  const between = isInteger ? fc.integer({ min: Math.max(minimum, -2e9), max: Math.min(maximum, 2e9) }) : fc.double({ min: minimum, max: maximum, noNaN: true })
  return fc.oneof(between, fc.constantFrom(minimum, maximum))
}

const madeGraphemes = new Map<string, fc.Arbitrary<string>>()

/** Kept, because to make one takes far longer than to draw from it. */
function graphemes (minLength: number, maxLength: number): fc.Arbitrary<string> {
  const key = `${minLength} ${maxLength}`
  let made = madeGraphemes.get(key)
  if (made === undefined) madeGraphemes.set(key, made = fc.string({ unit: 'grapheme', minLength, maxLength }))
  return made
}

function textsOf ({ pattern, minLength = 0, maxLength: most = maxLength }: { pattern?: string, minLength?: number, maxLength?: number }): fc.Arbitrary<Json> {
  if (pattern !== undefined) return fc.stringMatching(new RegExp(pattern))
  const short = graphemes(minLength, Math.max(minLength, Math.min(most, maxLength))).filter((text) => text.length <= most)
  return most > 1024 ? short : fc.oneof({ arbitrary: short, weight: 9 }, { arbitrary: fc.constantFrom('a'.repeat(minLength), 'a'.repeat(most)), weight: 1 })
}

function listsOf ({ items = {}, minItems = 0, maxItems = maxMembers }: { items?: unknown, minItems?: number, maxItems?: number }, of: (part: unknown) => fc.Arbitrary<Json>): fc.Arbitrary<Json> {
  if (maxItems === 0) return fc.constant([])
  return fc.array(of(items), { minLength: minItems, maxLength: Math.max(minItems, Math.min(maxItems, maxMembers)) })
}

function objectsOf (schema: JsonSchema, of: (part: unknown) => fc.Arbitrary<Json>): fc.Arbitrary<Json> {
  const { properties = {}, required = [], additionalProperties = {}, propertyNames = {} } =
    schema as { properties?: Record<string, JsonSchema>, required?: string[], additionalProperties?: unknown, propertyNames?: JsonSchema }
  const optional = Object.keys(properties).filter((name) => !required.includes(name))
  // Not with the same chance each: of forty optional members, some twenty would be there.
  const known = fc.subarray(optional, { maxLength: Math.min(4, optional.length) }).chain((names) => fc.record(Object.fromEntries([...required, ...names].map((name) => [name, of(properties[name])]))))
  if (additionalProperties === false) return known
  const { not } = propertyNames as { not?: { enum: string[] } }
  const names = (textsOf(propertyNames) as fc.Arbitrary<string>).filter((name) => name !== '__proto__' && name !== 'constructor' && not?.enum.includes(name) !== true && !(name in properties))
  const others = fc.array(fc.tuple(names, of(additionalProperties)), { maxLength: maxMembers }).map((pairs) => Object.fromEntries(pairs))
  return fc.tuple(known, others).map(([some, more]) => ({ ...more, ...some }))
}

interface Place { readonly holder: Record<string | number, Json>, readonly key: string | number }

function placesIn (value: Json): Place[] {
  if (typeof value !== 'object' || value === null) return []
  const holder = value as Record<string | number, Json>
  return Object.keys(holder).flatMap((key) => [{ holder, key: Array.isArray(value) ? Number(key) : key }, ...placesIn(holder[key]!)])
}

/** Random values that are one change away from given ones: a member less, another value in a place, a member that nobody knows. */
export const neighboursOf = (instances: fc.Arbitrary<Json>): fc.Arbitrary<Json> =>
  fc.tuple(instances, fc.nat(), fc.constantFrom('remove', 'replace', 'add'), anything).map(([instance, index, change, value]) => {
    const copy = structuredClone(instance)
    const places = placesIn(copy)
    const place = places[index % places.length]
    if (place === undefined) return copy
    const { holder, key } = place
    const inner = holder[key]
    if (change === 'remove') {
      if (Array.isArray(holder)) holder.splice(key as number, 1)
      else delete holder[key]
    } else if (change === 'add' && typeof inner === 'object' && inner !== null && !Array.isArray(inner)) {
      // Null would mean that it is not there.
      inner['unheard_of'] = value ?? 0
    } else {
      holder[key] = value
    }
    return copy
  })
