import { ServerError } from '../../domain/errors.ts'

/** A JSON Schema, or a part of one, with the request's field that it came in. */
export interface LocatedSchema {
  readonly schema: SchemaObject | boolean
  /** In the notation of `param`: `response_format.json_schema.schema.properties.x`. */
  readonly path: string
}

export type SchemaObject = Readonly<Record<string, unknown>>

/** Schemas that a value has to fit all at once. */
export type Conjunction = readonly LocatedSchema[]

export const isObject = (value: unknown): value is SchemaObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** @throws ServerError `invalid_value` when it is neither an object nor true or false */
export function locate (schema: unknown, path: string): LocatedSchema {
  if (typeof schema !== 'boolean' && !isObject(schema)) throw invalidSchema(path, 'a schema is an object, or true or false')
  return { schema, path }
}

/** The schema is none. */
export const invalidSchema = (path: string, reason: string): ServerError =>
  new ServerError('invalid_value', `Invalid schema at '${path}': ${reason}`, { param: path })

/** The schema asks for what cannot be held. */
export const unsupportedSchema = (path: string, reason: string): ServerError =>
  new ServerError('unsupported_value', `Unsupported schema at '${path}': ${reason}`, { param: path })

const own = (schema: SchemaObject, key: string): unknown => Object.hasOwn(schema, key) ? schema[key] : undefined

/**
 * What `#`, `#/$defs/name` and other pointers into the same document refer to.
 * @throws ServerError
 */
export function resolveReference (root: LocatedSchema, reference: unknown, path: string): LocatedSchema {
  if (typeof reference !== 'string') throw invalidSchema(path, '"$ref" is a string')
  if (reference !== '#' && !reference.startsWith('#/')) {
    throw unsupportedSchema(path, `"$ref" can only refer to this schema itself, as "#" or "#/…", not to ${JSON.stringify(reference.slice(0, 80))}`)
  }
  let target: unknown = root.schema
  let targetPath = root.path
  for (const part of reference.slice(2).split('/')) {
    if (reference === '#') break
    const key = decode(part).replaceAll('~1', '/').replaceAll('~0', '~')
    target = Array.isArray(target) && /^\d{1,6}$/.test(key) ? target[Number(key)] : isObject(target) ? own(target, key) : undefined
    targetPath += Array.isArray(target) ? `[${key}]` : `.${key}`
    if (target === undefined) throw invalidSchema(path, `there is nothing at ${JSON.stringify(reference.slice(0, 80))}`)
  }
  return locate(target, targetPath)
}

function decode (part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
