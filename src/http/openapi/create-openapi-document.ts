import { isDeepStrictEqual } from 'node:util'
import type { z } from 'zod'
import { errorCatalogue } from '../../domain/errors.ts'
import { anthropicErrorSchema, errorSchema, vllmErrorSchema } from '../schemas/answers/error.ts'
import { type ConvertedSchema, toJsonSchema } from '../schemas/to-json-schema.ts'
import type { JsonSchema } from '../schemas/wire-form.ts'
import { type ErrorShape, type Operation, type OperationBody, tags } from './operation.ts'
import { operations } from './operations.ts'
import { toBodySchema } from './to-body-schema.ts'

export type OpenApiDocument = Record<string, unknown>

const introduction = `An OpenAI-compatible inference server for GGUF models.

Schemas of requests say what the server takes, and nothing else. Beyond them: a member that is \`null\` counts as absent, known or not; lengths of texts are counted in
UTF-16 code units; and some members do not go together, or with the model, which an error says with the name of the member in \`param\`. Answers may get more members.

Streams are server-sent events; the schema beside \`text/event-stream\` is that of the data of each event.`

const errorShapes = {
  openai: [errorSchema],
  anthropic: [anthropicErrorSchema],
  vllm: [vllmErrorSchema],
  either: [errorSchema, anthropicErrorSchema]
} satisfies Record<ErrorShape, readonly z.ZodType[]>

/** Clients of Anthropic's API are told to come back with a status of their own. */
const overloadedStatus = 529

/**
 * The OpenAPI 3.1 document of the server, made from the schemas that its routes read requests with.
 * @param version of the server
 */
export function createOpenApiDocument (version: string): OpenApiDocument {
  const schemas: Record<string, JsonSchema> = {}
  const keep = ({ schema, definitions }: ConvertedSchema): JsonSchema => {
    for (const [name, definition] of Object.entries(definitions)) {
      if (schemas[name] !== undefined && !isDeepStrictEqual(schemas[name], definition)) throw new Error(`There are two schemas called ${name}`)
      schemas[name] = definition
    }
    return schema
  }
  const answers = new Map<z.ZodType, JsonSchema>()
  const keepAnswer: KeepAnswer = (schema) => {
    const known = answers.get(schema)
    if (known !== undefined) return known
    const kept = keep(toAnswerSchema(schema))
    answers.set(schema, kept)
    return kept
  }
  const paths: Record<string, Record<string, unknown>> = {}
  for (const operation of operations) {
    for (const [index, path] of operation.paths.entries()) {
      const id = index === 0 ? operation.id : `${operation.id}${index + 1}`
      paths[path] = { ...paths[path], [operation.method]: toOperationObject(operation, id, index, keep, keepAnswer) }
    }
  }
  return {
    openapi: '3.1.1',
    info: { title: 'Drawbridge', version, description: introduction, license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } },
    servers: [{ url: '/' }],
    tags: Object.entries(tags).map(([name, description]) => ({ name, description })),
    paths,
    components: {
      schemas: Object.fromEntries(Object.entries(schemas).sort(([one], [other]) => one < other ? -1 : 1)),
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer', description: 'A key of the server. Where it has none, anything or nothing is fine.' },
        xApiKey: { type: 'apiKey', in: 'header', name: 'x-api-key', description: 'The same, as Anthropic\'s clients send it.' }
      }
    },
    // Where the server has no keys, none is needed.
    security: [{ bearer: [] }, { xApiKey: [] }, {}]
  }
}

type Keep = (converted: ConvertedSchema) => JsonSchema
/** The same for an answer, converted once for all operations that have it. */
type KeepAnswer = (schema: z.ZodType) => JsonSchema

function toOperationObject (operation: Operation, operationId: string, nameIndex: number, keep: Keep, keepAnswer: KeepAnswer): object {
  const { tag, summary, description, body, isPublic = false, paths } = operation
  const parameters = parametersOf(operation, keep)
  return {
    operationId,
    tags: [tag],
    summary: nameIndex === 0 ? summary : `${summary} (as ${paths[0]})`,
    ...(description === undefined ? {} : { description }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: toRequestBody(operation.id, body, keep) }),
    responses: { ...answersOf(operation, keepAnswer), ...errorsOf(operation, keepAnswer) },
    ...(isPublic ? { security: [] } : {})
  }
}

function parametersOf ({ pathParameters = {}, query }: Operation, keep: Keep): object[] {
  const ofPath = Object.entries(pathParameters).map(([name, description]) => ({ name, in: 'path', required: true, description, schema: { type: 'string' } }))
  if (query === undefined) return ofPath
  const { properties } = keep(toJsonSchema(query)) as { properties: Record<string, JsonSchema> }
  return [...ofPath, ...Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', schema }))]
}

/** Each form of a body has a name of its own, which generated clients call its type by. */
function toRequestBody (operationId: string, body: OperationBody, keep: Keep): object {
  const { schemas, isOptional = false, mediaType = 'application/json', example } = body
  const forms = schemas.map((form, index) => {
    const { schema, definitions } = toBodySchema(form, body)
    const name = `${operationId.charAt(0).toUpperCase()}${operationId.slice(1)}Request${index === 0 ? '' : index + 1}`
    return keep({ schema: { $ref: `#/components/schemas/${name}` }, definitions: { ...definitions, [name]: schema } })
  })
  return {
    required: !isOptional,
    content: { [mediaType]: { schema: forms.length === 1 ? forms[0] : { anyOf: forms }, example } }
  }
}

const requestId = { 'x-request-id': { description: 'Names the request in the log', schema: { type: 'string' } } }

const answersOf = ({ answers }: Operation, keep: KeepAnswer): object => Object.fromEntries(Object.entries(answers).map(([status, { description, json, events, text }]) => [status, {
  description,
  headers: requestId,
  content: {
    ...(json === undefined ? {} : { 'application/json': { schema: keep(json) } }),
    ...(events === undefined ? {} : { 'text/event-stream': { schema: keep(events) } }),
    ...(text === undefined ? {} : { [text]: { schema: { type: 'string' } } })
  }
}]))

/** Answers may get more members; programs that read them have to let these pass. */
const toAnswerSchema = (schema: z.ZodType): ConvertedSchema => JSON.parse(JSON.stringify(toJsonSchema(schema), (key, value: unknown) =>
  key === 'additionalProperties' && value === false ? undefined : value)) as ConvertedSchema

function errorsOf ({ errors, errorShape = 'openai', answers }: Operation, keep: KeepAnswer): object {
  const shapes = errorShapes[errorShape].map(keep)
  const schema = shapes.length === 1 ? shapes[0] : { anyOf: shapes }
  const statuses = [...new Set(errors.map((code) => errorCatalogue[code].status))].sort((one, other) => one - other)
  return Object.fromEntries(statuses.filter((status) => !(status in answers)).map((status) => {
    const codes = [...new Set(errors)].filter((code) => errorCatalogue[code].status === status)
    const shown = status === 503 && errorShape === 'anthropic' ? overloadedStatus : status
    return [shown, {
      description: codes.map((code) => `\`${code}\``).join(', '),
      headers: { ...requestId, ...(status === 429 || status === 503 ? retryAfter : {}) },
      content: { 'application/json': { schema } }
    }]
  }))
}

const retryAfter = { 'retry-after': { description: 'Seconds after which the request may succeed', schema: { type: 'integer' } } }
