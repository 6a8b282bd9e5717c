import { z } from 'zod'

/** A JSON Schema, in the dialect of OpenAPI 3.1. */
export type JsonSchema = Record<string, unknown>

export interface WireForm extends Record<string, unknown> {
  /** Name under which the OpenAPI document keeps it, for what occurs in several places. */
  readonly id?: string
  /** What the wire takes, made from what zod sees of the schema. */
  readonly form?: (seen: JsonSchema) => JsonSchema
}

/**
 * What JSON a schema takes, where zod's conversion does not see it: before a preprocessing step, or in a check that is code. A test
 * holds schemas and their wire forms to each other.
 */
export const wireForms = z.registry<WireForm>()

/** A text in the place of a list. */
export const orText = (text: JsonSchema = {}) => (list: JsonSchema): JsonSchema => ({ anyOf: [{ type: 'string', ...text }, list] })

/** The same with keywords that say what a check in code holds it to. */
export const withKeywords = (keywords: JsonSchema) => (seen: JsonSchema): JsonSchema => ({ ...seen, ...keywords })

/** The same, or null. */
export function orNull (schema: JsonSchema): JsonSchema {
  const { type, enum: values, anyOf } = schema
  if (Object.keys(schema).length === 0 || type === 'null') return schema
  if (Array.isArray(anyOf)) return anyOf.some((option: JsonSchema) => option['type'] === 'null') ? schema : { ...schema, anyOf: [...anyOf, { type: 'null' }] }
  if (Array.isArray(type)) return type.includes('null') ? schema : { ...schema, type: [...type, 'null'] }
  if (typeof type !== 'string' || 'const' in schema) {
    const { description, default: fallback, ...rest } = schema
    return { ...(description === undefined ? {} : { description }), ...(fallback === undefined ? {} : { default: fallback }), anyOf: [rest, { type: 'null' }] }
  }
  return { ...schema, type: [type, 'null'], ...(Array.isArray(values) ? { enum: [...values, null] } : {}) }
}

/** An object, or one of several, in which null means that a member is absent. */
export function withNullsForAbsent (schema: JsonSchema): JsonSchema {
  if (Array.isArray(schema['oneOf'])) return { ...schema, oneOf: (schema['oneOf'] as JsonSchema[]).map(withNullsForAbsent) }
  const { properties = {}, required = [] } = schema as { properties?: Record<string, JsonSchema>, required?: string[] }
  return {
    ...schema,
    properties: Object.fromEntries(Object.entries(properties).map(([name, member]) => [name, required.includes(name) ? member : orNull(member)]))
  }
}
