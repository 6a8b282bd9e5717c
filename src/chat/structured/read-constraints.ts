import { invalidSchema, isObject, locate, unsupportedSchema, type LocatedSchema, type SchemaObject } from './located-schema.ts'
import { allTypes, noConstraints, type ArrayPart, type Bound, type Constraints, type JsonType, type ObjectPart } from './schema-constraints.ts'

/** Keywords that say nothing about a value. */
const annotations = new Set(['$schema', '$id', 'id', '$comment', 'title', 'description', 'default', 'example', 'examples', 'deprecated', 'readOnly', 'writeOnly', '$defs', 'definitions'])
/** Keywords that make alternatives or refer elsewhere; the reader of whole schemas takes them. */
const structural = new Set(['$ref', 'anyOf', 'oneOf', 'allOf'])

const asserted: Readonly<Record<string, 'string' | 'number' | 'object' | 'array' | null>> = {
  type: null,
  nullable: null,
  enum: null,
  const: null,
  minLength: 'string',
  maxLength: 'string',
  pattern: 'string',
  format: 'string',
  minimum: 'number',
  maximum: 'number',
  exclusiveMinimum: 'number',
  exclusiveMaximum: 'number',
  multipleOf: 'number',
  properties: 'object',
  required: 'object',
  additionalProperties: 'object',
  patternProperties: 'object',
  propertyNames: 'object',
  minProperties: 'object',
  maxProperties: 'object',
  items: 'array',
  prefixItems: 'array',
  additionalItems: 'array',
  minItems: 'array',
  maxItems: 'array',
  uniqueItems: 'array'
}

/** Whether a keyword asks nothing of a value. */
export const isAnnotation = (keyword: string): boolean => annotations.has(keyword) || keyword.startsWith('x-')

/**
 * Reads what a schema asks by itself, references and alternatives aside.
 * @throws ServerError for every keyword that is not known
 */
export function readConstraints ({ schema, path }: LocatedSchema & { readonly schema: SchemaObject }): Constraints {
  const places: Partial<Record<'string' | 'number' | 'object' | 'array', string>> = {}
  for (const keyword of Object.keys(schema)) {
    if (isAnnotation(keyword) || structural.has(keyword)) continue
    if (!Object.hasOwn(asserted, keyword)) {
      throw unsupportedSchema(`${path}.${keyword}`, `the keyword "${keyword.slice(0, 80)}" is not supported`)
    }
    const kind = asserted[keyword]
    if (kind !== null && kind !== undefined) places[kind] ??= `${path}.${keyword}`
  }
  const reader = new KeywordReader(schema, path)
  return {
    ...noConstraints,
    types: reader.types(),
    values: reader.values(),
    minLength: reader.count('minLength', 0),
    maxLength: reader.count('maxLength', Infinity),
    patterns: reader.texts('pattern'),
    formats: reader.texts('format'),
    minimum: reader.bound('minimum', 'exclusiveMinimum', 1),
    maximum: reader.bound('maximum', 'exclusiveMaximum', -1),
    multiples: reader.multiples(),
    objects: reader.objects(),
    required: reader.required(),
    propertyNames: reader.has('propertyNames') ? [locate(schema['propertyNames'], `${path}.propertyNames`)] : [],
    minProperties: reader.count('minProperties', 0),
    maxProperties: reader.count('maxProperties', Infinity),
    arrays: reader.arrays(),
    minItems: reader.count('minItems', 0),
    maxItems: reader.count('maxItems', Infinity),
    uniqueItems: reader.uniqueItems(),
    places
  }
}

/** Of an object's properties, and of an enumeration's values. */
const maxMembers = 2000

class KeywordReader {
  readonly #schema: SchemaObject
  readonly #path: string

  constructor (schema: SchemaObject, path: string) {
    this.#schema = schema
    this.#path = path
  }

  has (keyword: string): boolean { return Object.hasOwn(this.#schema, keyword) }

  #get (keyword: string, absent?: unknown): unknown { return this.has(keyword) ? this.#schema[keyword] : absent }

  #wrong (keyword: string, reason: string): Error { return invalidSchema(`${this.#path}.${keyword}`, reason) }

  types (): ReadonlySet<JsonType> | null {
    const isNullable = this.#get('nullable', false)
    if (typeof isNullable !== 'boolean') throw this.#wrong('nullable', '"nullable" is true or false')
    if (!this.has('type')) {
      if (isNullable) throw this.#wrong('nullable', '"nullable" needs a "type"')
      return null
    }
    const type = this.#get('type')
    const names: readonly unknown[] = Array.isArray(type) ? type : [type]
    const known: readonly unknown[] = [...allTypes, 'integer']
    const unknown = names.find((name) => !known.includes(name))
    if (unknown !== undefined || names.length === 0) {
      throw this.#wrong('type', '"type" is one of "object", "array", "string", "number", "integer", "boolean" and "null", or a list of them')
    }
    return new Set([...names as JsonType[], ...(isNullable ? ['null' as const] : [])])
  }

  values (): Constraints['values'] {
    const path = `${this.#path}.${this.has('enum') ? 'enum' : 'const'}`
    if (!this.has('enum')) return this.has('const') ? { value: [this.#get('const')], path } : null
    const values = this.#get('enum')
    if (!Array.isArray(values) || values.length === 0) throw this.#wrong('enum', '"enum" is a list of at least one value')
    if (values.length > maxMembers) throw unsupportedSchema(path, `${values.length} values; the limit is ${maxMembers}`)
    if (this.has('const')) throw unsupportedSchema(`${this.#path}.const`, '"const" beside "enum" is not supported')
    return { value: values, path }
  }

  count (keyword: string, absent: number): number {
    if (!this.has(keyword)) return absent
    const value = this.#get(keyword)
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) throw this.#wrong(keyword, `"${keyword}" is an integer of at least 0`)
    return value
  }

  texts (keyword: string): Constraints['patterns'] {
    if (!this.has(keyword)) return []
    const value = this.#get(keyword)
    if (typeof value !== 'string') throw this.#wrong(keyword, `"${keyword}" is a string`)
    return [{ value, path: `${this.#path}.${keyword}` }]
  }

  /** @param direction 1 for the lower end */
  bound (keyword: string, exclusiveKeyword: string, direction: 1 | -1): Bound | null {
    const inclusive = this.#number(keyword)
    // In old drafts it was true or false and changed what the other one means.
    const exclusive = this.#number(exclusiveKeyword)
    const isExclusive = exclusive !== null && (inclusive === null || (exclusive - inclusive) * direction >= 0)
    const value = isExclusive ? exclusive : inclusive
    return value === null ? null : { value, isExclusive, path: `${this.#path}.${isExclusive ? exclusiveKeyword : keyword}` }
  }

  #number (keyword: string): number | null {
    if (!this.has(keyword)) return null
    const value = this.#get(keyword)
    if (typeof value !== 'number') throw this.#wrong(keyword, `"${keyword}" is a number`)
    return value
  }

  multiples (): Constraints['multiples'] {
    const value = this.#number('multipleOf')
    if (value === null) return []
    if (value <= 0) throw this.#wrong('multipleOf', '"multipleOf" is more than 0')
    return [{ value, path: `${this.#path}.multipleOf` }]
  }

  required (): ReadonlySet<string> {
    const required = this.#get('required', [])
    if (!Array.isArray(required) || !required.every((name): name is string => typeof name === 'string')) {
      throw this.#wrong('required', '"required" is a list of strings')
    }
    return new Set(required)
  }

  #members (keyword: string): readonly LocatedSchemaEntry[] {
    const members = this.#get(keyword, {})
    if (!isObject(members)) throw this.#wrong(keyword, `"${keyword}" is an object of schemas`)
    const entries = Object.entries(members)
    if (entries.length > maxMembers) throw unsupportedSchema(`${this.#path}.${keyword}`, `${entries.length} properties; the limit is ${maxMembers}`)
    return entries.map(([name, schema]) => [name, locate(schema, `${this.#path}.${keyword}.${name}`)])
  }

  objects (): readonly ObjectPart[] {
    if (!['properties', 'patternProperties', 'additionalProperties'].some((keyword) => this.has(keyword))) return []
    return [{
      properties: new Map(this.#members('properties')),
      patterns: this.#members('patternProperties').map(([pattern, schema]) => ({ pattern, schema })),
      patternsPath: `${this.#path}.patternProperties`,
      additional: locate(this.#get('additionalProperties', true), `${this.#path}.additionalProperties`)
    }]
  }

  arrays (): readonly ArrayPart[] {
    const items = this.#get('items')
    const isOldTuple = Array.isArray(items)
    if (isOldTuple && this.has('prefixItems')) throw this.#wrong('items', '"items" is one schema where there are "prefixItems"')
    if (!isOldTuple && this.has('additionalItems')) {
      throw unsupportedSchema(`${this.#path}.additionalItems`, '"additionalItems" means nothing where "items" is not a list')
    }
    const firstKeyword = isOldTuple ? 'items' : 'prefixItems'
    const restKeyword = isOldTuple ? 'additionalItems' : 'items'
    if (!this.has(firstKeyword) && !this.has(restKeyword)) return []
    const first = this.#get(firstKeyword, [])
    if (!Array.isArray(first)) throw this.#wrong(firstKeyword, `"${firstKeyword}" is a list of schemas`)
    return [{
      first: first.map((schema, index) => locate(schema, `${this.#path}.${firstKeyword}[${index}]`)),
      rest: locate(this.#get(restKeyword, true), `${this.#path}.${restKeyword}`)
    }]
  }

  uniqueItems (): Constraints['uniqueItems'] {
    const value = this.#get('uniqueItems', false)
    if (typeof value !== 'boolean') throw this.#wrong('uniqueItems', '"uniqueItems" is true or false')
    return value ? { value, path: `${this.#path}.uniqueItems` } : null
  }
}

type LocatedSchemaEntry = readonly [string, LocatedSchema]
