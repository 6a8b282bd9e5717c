import type { Conjunction, LocatedSchema } from './located-schema.ts'

/** `number` is every number, integers included. */
export type JsonType = 'null' | 'boolean' | 'integer' | 'number' | 'string' | 'array' | 'object'

export const allTypes: readonly JsonType[] = ['object', 'array', 'string', 'number', 'boolean', 'null']

/** A value with the place of the keyword that asks for it. */
export interface Placed<Value> {
  readonly value: Value
  readonly path: string
}

/** What one schema says of an object's members; `additional` is about those that it does not name itself. */
export interface ObjectPart {
  readonly properties: ReadonlyMap<string, LocatedSchema>
  readonly patterns: ReadonlyArray<{ readonly pattern: string, readonly schema: LocatedSchema }>
  readonly patternsPath: string
  readonly additional: LocatedSchema
}

/** What one schema says of an array's items: the first ones, and all after them. */
export interface ArrayPart {
  readonly first: readonly LocatedSchema[]
  readonly rest: LocatedSchema
}

/** Everything that schemas without alternatives ask of a value, all at once. */
export interface Constraints {
  /** Null for any. */
  readonly types: ReadonlySet<JsonType> | null
  readonly values: Placed<readonly unknown[]> | null
  readonly minLength: number
  readonly maxLength: number
  readonly patterns: ReadonlyArray<Placed<string>>
  readonly formats: ReadonlyArray<Placed<string>>
  readonly minimum: Bound | null
  readonly maximum: Bound | null
  readonly multiples: ReadonlyArray<Placed<number>>
  readonly objects: readonly ObjectPart[]
  readonly required: ReadonlySet<string>
  readonly propertyNames: Conjunction
  readonly minProperties: number
  readonly maxProperties: number
  readonly arrays: readonly ArrayPart[]
  readonly minItems: number
  readonly maxItems: number
  readonly uniqueItems: Placed<true> | null
  /** Where what it asks of objects, arrays, strings and numbers was written first, for error texts and to infer the type. */
  readonly places: Readonly<Partial<Record<'string' | 'number' | 'object' | 'array', string>>>
}

export interface Bound {
  readonly value: number
  readonly isExclusive: boolean
  readonly path: string
}

export const noConstraints: Constraints = {
  types: null,
  values: null,
  minLength: 0,
  maxLength: Infinity,
  patterns: [],
  formats: [],
  minimum: null,
  maximum: null,
  multiples: [],
  objects: [],
  required: new Set(),
  propertyNames: [],
  minProperties: 0,
  maxProperties: Infinity,
  arrays: [],
  minItems: 0,
  maxItems: Infinity,
  uniqueItems: null,
  places: {}
}

/** What fits both. */
export function bothConstraints (a: Constraints, b: Constraints): Constraints {
  return {
    types: a.types === null ? b.types : b.types === null ? a.types : commonTypes(a.types, b.types),
    values: a.values === null ? b.values : b.values === null ? a.values : commonValues(a.values, b.values),
    minLength: Math.max(a.minLength, b.minLength),
    maxLength: Math.min(a.maxLength, b.maxLength),
    patterns: [...a.patterns, ...b.patterns],
    formats: [...a.formats, ...b.formats],
    minimum: tighter(a.minimum, b.minimum, 1),
    maximum: tighter(a.maximum, b.maximum, -1),
    multiples: [...a.multiples, ...b.multiples],
    objects: [...a.objects, ...b.objects],
    required: new Set([...a.required, ...b.required]),
    propertyNames: [...a.propertyNames, ...b.propertyNames],
    minProperties: Math.max(a.minProperties, b.minProperties),
    maxProperties: Math.min(a.maxProperties, b.maxProperties),
    arrays: [...a.arrays, ...b.arrays],
    minItems: Math.max(a.minItems, b.minItems),
    maxItems: Math.min(a.maxItems, b.maxItems),
    uniqueItems: a.uniqueItems ?? b.uniqueItems,
    places: { ...b.places, ...a.places }
  }
}

export function commonTypes (a: ReadonlySet<JsonType>, b: ReadonlySet<JsonType>): ReadonlySet<JsonType> {
  const common = new Set([...a].filter((type) => b.has(type)))
  const hasNumbers = (types: ReadonlySet<JsonType>): boolean => types.has('integer') || types.has('number')
  if (hasNumbers(a) && hasNumbers(b) && !common.has('number')) common.add('integer')
  return common
}

/** JSON with members in order, so that equal values have equal texts. */
export function canonicalJson (value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value === 0 ? 0 : value)
  return `{${Object.entries(value).sort(([a], [b]) => a < b ? -1 : 1).map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`
}

function commonValues (a: Placed<readonly unknown[]>, b: Placed<readonly unknown[]>): Placed<readonly unknown[]> {
  const known = new Set(b.value.map(canonicalJson))
  return { value: a.value.filter((value) => known.has(canonicalJson(value))), path: a.path }
}

/** @param direction 1 for lower ends, of which the greater is tighter; -1 for upper ends */
function tighter (a: Bound | null, b: Bound | null, direction: 1 | -1): Bound | null {
  if (a === null || b === null) return a ?? b
  const difference = (a.value - b.value) * direction
  if (difference === 0) return a.isExclusive ? a : b
  return difference > 0 ? a : b
}

export function typeOfValue (value: unknown): JsonType {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'array'
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number'
  return typeof value as 'boolean' | 'string' | 'object'
}

export const hasType = (types: ReadonlySet<JsonType>, type: JsonType): boolean =>
  types.has(type) || (type === 'integer' && types.has('number'))

/** The types that values can have: those that are asked for, else those that something is asked of, else all. */
export function writtenTypes ({ types, places }: Constraints): ReadonlySet<JsonType> {
  if (types !== null) return types
  const inferred = Object.keys(places) as JsonType[]
  return new Set(inferred.length > 0 ? inferred : allTypes)
}
