import { z } from 'zod'
import type { OutputFormat } from '../../chat/structured/output-grammars.ts'
import { ServerError } from '../../domain/errors.ts'
import { wireForms } from './wire-form.ts'

/** A JSON Schema is read where it is turned into a grammar, which says more about what is wrong with it. */
export const schemaSchema = z.custom<object>((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'expected an object')
  .register(wireForms, { form: () => ({ type: 'object' }) })

export const formatNameSchema = z.string().regex(/^[a-zA-Z0-9_-]{1,64}$/, 'expected 1 to 64 letters, digits, underscores and hyphens')

const responseFormatSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('text') }),
  // The schema is an addition of llama-server's.
  z.strictObject({ type: z.literal('json_object'), schema: schemaSchema.nullish() }),
  z.strictObject({
    type: z.literal('json_schema'),
    json_schema: z.strictObject({
      name: formatNameSchema,
      description: z.string().nullish(),
      schema: schemaSchema.nullish(),
      strict: z.boolean().nullish()
    })
  })
])

/** As vLLM has them; one of them. */
const structuredOutputsSchema = z.strictObject({
  json: z.union([schemaSchema, z.string()], 'expected a JSON Schema, or one as a string').nullish(),
  json_object: z.literal(true, 'expected true').nullish(),
  regex: z.string().min(1).max(65_536).nullish(),
  choice: z.array(z.string().min(1).max(16_384).refine((text) => text.isWellFormed(), 'expected whole characters, not half of a surrogate pair')).min(1).max(2000).nullish(),
  grammar: z.string().min(1).max(65_536).nullish()
})

/** Members of a request that say what an answer has to look like, beside `grammar`. */
export const outputFormatMembers = {
  response_format: responseFormatSchema.optional(),
  structured_outputs: structuredOutputsSchema.optional()
}

export type OutputFormatRequest = z.output<z.ZodObject<typeof outputFormatMembers>> & { readonly grammar: string | null }

/**
 * What an answer has to look like.
 * @throws ServerError `invalid_value` when a request says it twice
 */
export function outputFormatOf ({ response_format: responseFormat, structured_outputs: structured, grammar }: OutputFormatRequest): OutputFormat {
  const asked = [
    ...(grammar === null ? [] : [['grammar', { kind: 'grammar', grammar }] as const]),
    ...Object.entries(structured ?? {}).flatMap(([name, value]) =>
      value === null || value === undefined ? [] : [[`structured_outputs.${name}`, structuredFormat(name as StructuredName, value)] as const]),
    ...(responseFormat === undefined || responseFormat.type === 'text' ? [] : [['response_format', formatOf(responseFormat)] as const])
  ]
  const [first, second] = asked
  if (second !== undefined) {
    throw new ServerError('invalid_value', `'${first![0]}' and '${second[0]}' both say what the answer looks like; send one of them`, { param: second[0] })
  }
  if (first === undefined && structured !== undefined) {
    throw new ServerError('invalid_value', 'Invalid value for \'structured_outputs\': expected one of json, json_object, regex, choice and grammar', { param: 'structured_outputs' })
  }
  return first === undefined ? { kind: 'text' } : first[1]
}

type StructuredName = keyof z.output<typeof structuredOutputsSchema>

function formatOf (format: z.output<typeof responseFormatSchema>): OutputFormat {
  if (format.type === 'text') return { kind: 'text' }
  if (format.type === 'json_object') {
    const param = 'response_format.schema'
    return format.schema ? { kind: 'json-schema', param, schema: format.schema, strictName: null } : { kind: 'json-object', param: 'response_format' }
  }
  const { name, schema, strict } = format.json_schema
  const param = 'response_format.json_schema.schema'
  if (schema) return { kind: 'json-schema', param, schema, strictName: strict === true ? name : null }
  if (strict === true) throw new ServerError('missing_required_parameter', `Missing required parameter: '${param}'`, { param })
  return { kind: 'json-object', param: 'response_format' }
}

function structuredFormat (name: StructuredName, value: unknown): OutputFormat {
  const param = `structured_outputs.${name}`
  switch (name) {
    case 'json': return { kind: 'json-schema', param, schema: typeof value === 'string' ? parseSchema(value, param) : value, strictName: null }
    case 'json_object': return { kind: 'json-object', param }
    case 'regex': return { kind: 'regex', param, pattern: value as string }
    case 'choice': return { kind: 'choice', param, texts: value as readonly string[] }
    case 'grammar': return { kind: 'grammar', grammar: value as string }
  }
}

function parseSchema (text: string, param: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ServerError('invalid_value', `Invalid value for '${param}': the string is not JSON`, { param, cause: error })
  }
}
