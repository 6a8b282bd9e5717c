import { z } from 'zod'
import { type ConvertedSchema, toJsonSchema } from '../schemas/to-json-schema.ts'
import { type JsonSchema, orNull, withNullsForAbsent } from '../schemas/wire-form.ts'
import { memberDescriptions } from './member-descriptions.ts'
import type { OperationBody } from './operation.ts'

/** The JSON Schema of a request's body as `parseRequest` reads it: with what has no effect, and null for absent. */
export function toBodySchema (schema: z.ZodType, { policies = {}, nullable }: Pick<OperationBody, 'policies' | 'nullable'>): ConvertedSchema {
  const { schema: body, definitions } = toJsonSchema(schema)
  // A list is no object with members to leave out.
  if (body['type'] !== 'object') return { schema: body, definitions }
  const members = described(body['properties'] as Record<string, JsonSchema>)
  if (nullable !== undefined) members[nullable.name] = orNull(members[nullable.name] ?? {})
  const accepted = Object.entries(policies).filter(([, policy]) => !(policy.accepted instanceof z.ZodNever))
  const ignored = accepted.map(([name, policy]) => {
    const { schema: member } = toJsonSchema(policy.accepted)
    return [name, { description: 'Accepted without effect.', ...member }] as const
  })
  const refused = Object.entries(policies).filter(([, policy]) => policy.accepted instanceof z.ZodNever).map(([name]) => `\`${name}\``)
  return {
    schema: withNullsForAbsent({
      ...body,
      ...(refused.length === 0 ? {} : { description: `Refused by name: ${refused.join(', ')}.` }),
      properties: { ...members, ...Object.fromEntries(ignored) }
    }),
    definitions
  }
}

const described = (properties: Record<string, JsonSchema>): Record<string, JsonSchema> => Object.fromEntries(Object.entries(properties).map(([name, schema]) => {
  const description = memberDescriptions[name]
  return [name, description === undefined ? schema : { description, ...schema }]
}))
