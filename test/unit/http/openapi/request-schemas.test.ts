import { Ajv2020 } from 'ajv/dist/2020.js'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ServerError } from '../../../../src/domain/errors.ts'
import { toBodySchema } from '../../../../src/http/openapi/to-body-schema.ts'
import { operations } from '../../../../src/http/openapi/operations.ts'
import { parseRequest } from '../../../../src/http/schemas/parse-request.ts'
import type { JsonSchema } from '../../../../src/http/schemas/wire-form.ts'
import { anything, instancesOf, type Json, neighboursOf } from '../../../support/json-instances.ts'
import { runs } from '../../../support/long-run.ts'

const withoutNulls = (value: Json): Json => JSON.parse(JSON.stringify(value, (_key, member: Json) =>
  typeof member !== 'object' || member === null || Array.isArray(member) ? member : Object.fromEntries(Object.entries(member).filter(([, inner]) => inner !== null)))) as Json

const bodies = operations.flatMap(({ id, body }) => body === undefined ? [] : body.schemas.map((schema, index) => ({ name: `${id}${index === 0 ? '' : ` ${index + 1}`}`, schema, body })))

describe.each(bodies)('the JSON Schema of the body of $name', ({ schema, body: told }) => {
  const { schema: wire, definitions } = toBodySchema(schema, told)
  const { policies, nullable } = told
  const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, allowUnionTypes: true })
  ajv.addKeyword('components')
  const validate = ajv.compile({ ...wire, components: { schemas: definitions } })

  // A body that is a list is read as a member.
  const read = (body: Json): unknown => wire['type'] === 'array' ? parseRequest(z.object({ list: schema }), { list: body }) : parseRequest(schema, nullable?.read(body) ?? body, policies)
  const isTaken = (body: Json): boolean => {
    try {
      read(body)
      return true
    } catch (error) {
      expect(error).toBeInstanceOf(ServerError)
      return false
    }
  }

  it('accepts what the server takes', () => {
    fc.assert(fc.property(instancesOf(wire, definitions), (body) => {
      expect(validate(body)).toBe(true)
      read(body)
    }), { numRuns: runs(100) })
  })

  const hold = (body: Json): void => {
    const isTold = validate(body)
    // The document does not say that members which nobody knows may be null; they count as absent as well.
    expect({ isTaken: isTaken(body) }).toEqual({ isTaken: isTold || (isTaken(body) && validate(withoutNulls(body))) })
  }

  it('refuses what the server refuses, and nothing else', () => {
    fc.assert(fc.property(neighboursOf(instancesOf(wire, definitions)), hold), { numRuns: runs(150) })
  })

  // One by one, because among many members each is seldom the one that is wrong.
  it.each(Object.keys(wire['properties'] ?? {}))('does so with whatever "%s" is', (name) => {
    const { properties, required = [] } = wire as { properties: Record<string, JsonSchema>, required?: string[] }
    const names = [...new Set([...required, name])]
    const bodies = instancesOf({ ...wire, properties: Object.fromEntries(names.map((each) => [each, properties[each]!])), required: names }, definitions)
    const others = fc.tuple(bodies, anything).map(([body, value]): Json => ({ ...body as object, [name]: value }))
    fc.assert(fc.property(fc.oneof(neighboursOf(bodies), others), hold), { numRuns: runs(30) })
  })
})
