import { ServerError } from '../../domain/errors.ts'
import { isObject, type SchemaObject } from './located-schema.ts'

/** Where schemas are within schemas: directly, by name, or in a list. */
const single = ['items', 'additionalItems', 'additionalProperties', 'propertyNames', 'not', 'if', 'then', 'else', 'contains']
const named = ['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas']
const listed = ['anyOf', 'oneOf', 'allOf', 'prefixItems', 'items']

const maxDepth = 128

/**
 * Checks what OpenAI asks of a schema that is `strict`: the root is an object, objects list all of their properties as required
 * and allow no others. The messages are OpenAI's.
 *
 * @param what `response_format 'name'` or `function 'name'`
 * @param param the request's field that the schema is in
 * @throws ServerError `invalid_value`
 */
export function checkStrictSchema (schema: unknown, what: string, param: string): void {
  const refuse = (reason: string, path = param): never => {
    throw new ServerError('invalid_value', `Invalid schema for ${what}: ${reason}`, { param: path })
  }
  if (!isObject(schema)) return refuse('schema must be a JSON Schema object.')
  const type = schema['type']
  if (type !== 'object' && !(type === undefined && typeof schema['$ref'] === 'string')) {
    refuse(`schema must be a JSON Schema of 'type: "object"', got 'type: ${type === undefined ? '"None"' : JSON.stringify(type)}'.`)
  }
  const visit = (part: unknown, context: readonly string[], path: string): void => {
    if (!isObject(part)) return
    if (context.length > maxDepth) refuse(`it is more than ${maxDepth} levels deep.`, path)
    checkObject(part, (reason, keyword) => refuse(`In context=(${context.map((key) => `'${key}'`).join(', ')}${context.length === 1 ? ',' : ''}), ${reason}`, `${path}.${keyword}`))
    for (const keyword of single) visit(part[keyword], [...context, keyword], `${path}.${keyword}`)
    for (const keyword of named) {
      const members = part[keyword]
      if (isObject(members)) for (const [name, member] of Object.entries(members)) visit(member, [...context, keyword, name], `${path}.${keyword}.${name}`)
    }
    for (const keyword of listed) {
      const members = part[keyword]
      if (Array.isArray(members)) for (const [index, member] of members.entries()) visit(member, [...context, keyword, String(index)], `${path}.${keyword}[${index}]`)
    }
  }
  visit(schema, [], param)
}

function checkObject (schema: SchemaObject, refuse: (reason: string, keyword: string) => void): void {
  const { type, properties } = schema
  const isObjectType = type === 'object' || (Array.isArray(type) && type.includes('object'))
  if (!isObjectType && properties === undefined) return
  if (schema['additionalProperties'] !== false) {
    refuse('\'additionalProperties\' is required to be supplied and to be false.', 'additionalProperties')
  }
  const names = isObject(properties) ? Object.keys(properties) : []
  const required = new Set<unknown>(Array.isArray(schema['required']) ? schema['required'] : [])
  const missing = names.find((name) => !required.has(name))
  if (missing !== undefined) {
    refuse(`'required' is required to be supplied and to be an array including every key in properties. Missing '${missing}'.`, 'required')
  }
  const known = new Set<unknown>(names)
  const extra = [...required].find((name) => !known.has(name))
  if (extra !== undefined) refuse(`'required' names ${JSON.stringify(extra)}, which is not in properties.`, 'required')
}
