const text = { type: 'string', minLength: 1 }
const texts = { type: 'array', items: { type: 'string' } }

const strict = (required: readonly string[], properties: Record<string, unknown>) => ({ type: 'object', required, properties, additionalProperties: false })
const mapOf = (values: object, names?: string) => ({ type: 'object', additionalProperties: values, ...(names === undefined ? {} : { propertyNames: { pattern: names } }) })
const definition = (name: string) => ({ $ref: `#/$defs/${name}` })

/** The part of OpenAPI 3.1's structure that this server's document uses, and nothing beside it. */
export const openApiMetaSchema = {
  ...strict(['openapi', 'info', 'paths'], {
    openapi: { type: 'string', pattern: '^3\\.1\\.\\d+$' },
    info: strict(['title', 'version'], {
      title: text,
      version: text,
      description: text,
      license: strict(['name'], { name: text, identifier: text })
    }),
    servers: { type: 'array', items: strict(['url'], { url: text }) },
    tags: { type: 'array', items: strict(['name'], { name: text, description: text }) },
    paths: mapOf(definition('path'), '^/'),
    components: strict([], { schemas: mapOf(definition('schema'), '^[a-zA-Z0-9._-]+$'), securitySchemes: mapOf(definition('securityScheme')) }),
    security: definition('security')
  }),
  $defs: {
    path: { ...mapOf(definition('operation'), '^(get|put|post|delete|patch)$'), minProperties: 1 },
    operation: strict(['operationId', 'tags', 'summary', 'responses'], {
      operationId: { type: 'string', pattern: '^[a-zA-Z]\\w*$' },
      tags: { ...texts, minItems: 1 },
      summary: text,
      description: text,
      parameters: { type: 'array', items: definition('parameter') },
      requestBody: strict(['content'], { required: { type: 'boolean' }, description: text, content: definition('content') }),
      responses: { ...mapOf(definition('response'), '^[1-5]\\d\\d$'), minProperties: 1 },
      security: definition('security')
    }),
    parameter: {
      ...strict(['name', 'in', 'schema'], { name: text, in: { enum: ['path', 'query', 'header'] }, required: { type: 'boolean' }, description: text, schema: definition('schema') }),
      // What is a part of the path is always there.
      if: { properties: { in: { const: 'path' } } },
      then: { required: ['required'], properties: { required: { const: true } } }
    },
    response: strict(['description'], {
      description: text,
      headers: mapOf(strict(['schema'], { description: text, schema: definition('schema') })),
      content: definition('content')
    }),
    content: { ...mapOf(strict(['schema'], { schema: definition('schema'), example: true }), '^[a-z]+/[a-z-]+$'), minProperties: 1 },
    security: { type: 'array', items: mapOf(texts) },
    securityScheme: {
      oneOf: [
        strict(['type', 'scheme'], { type: { const: 'http' }, scheme: text, description: text }),
        strict(['type', 'in', 'name'], { type: { const: 'apiKey' }, in: { enum: ['header', 'query', 'cookie'] }, name: text, description: text })
      ]
    },
    schema: { $ref: 'https://json-schema.org/draft/2020-12/schema' }
  }
}
