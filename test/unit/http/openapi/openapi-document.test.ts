import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { FastifyInstance } from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { errorCatalogue } from '../../../../src/domain/errors.ts'
import { createOpenApiDocument } from '../../../../src/http/openapi/create-openapi-document.ts'
import { memberDescriptions } from '../../../../src/http/openapi/member-descriptions.ts'
import { operations } from '../../../../src/http/openapi/operations.ts'
import { createScriptedInference } from '../../../support/scripted-inference.ts'
import { openApiMetaSchema } from '../../../support/openapi-meta-schema.ts'
import { buildTestApp } from '../../../support/test-app.ts'
import { createTestHost } from '../../../support/test-host.ts'

const root = new URL('../../../../', import.meta.url)
const { version } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { version: string }
const document = JSON.parse(JSON.stringify(createOpenApiDocument(version))) as {
  readonly paths: Record<string, Record<string, { readonly operationId: string, readonly parameters?: readonly { readonly name: string, readonly in: string }[], readonly responses: object }>>
  readonly components: { readonly schemas: Record<string, object> }
}

const apps: FastifyInstance[] = []
afterEach(async () => { for (const app of apps.splice(0)) await app.close() })

describe('docs/openapi.json', () => {
  it('is what the schemas make', async () => {
    await expect(`${JSON.stringify(document, null, 1)}\n`).toMatchFileSnapshot(new URL('docs/openapi.json', root).pathname)
  })
})

describe('the OpenAPI document', () => {
  it('has the structure that OpenAPI 3.1 wants', () => {
    const ajv = new Ajv2020({ strict: false, allErrors: true, formats: { 'uri-reference': true } })
    const validate = ajv.compile(openApiMetaSchema)
    validate(document)
    expect(validate.errors).toBe(null)
  })

  it('has schemas that are JSON Schemas, and references that lead somewhere', () => {
    const ajv = new Ajv2020({ strict: true, strictTypes: false, strictRequired: false, allowUnionTypes: true })
    ajv.addKeyword('components')
    ajv.addSchema({ $id: 'document', components: document.components })
    for (const name of Object.keys(document.components.schemas)) {
      expect(() => ajv.compile({ $ref: `document#/components/schemas/${name}` })).not.toThrow()
    }
    const references = new Set<string>()
    JSON.stringify(document, (key, value: unknown) => {
      if (key === '$ref') references.add(value as string)
      return value
    })
    const names = [...references].map((reference) => /^#\/components\/schemas\/(\w+)$/.exec(reference)?.[1])
    expect(names.sort()).toEqual(Object.keys(document.components.schemas).sort())
  })

  it('has each name of an operation once', () => {
    const ids = Object.values(document.paths).flatMap((path) => Object.values(path).map(({ operationId }) => operationId))
    expect(ids.length).toBeGreaterThan(40)
    expect(new Set(ids).size).toBe(ids.length)
  })

  it('says what each parameter of a path is, and no others', () => {
    for (const [path, methods] of Object.entries(document.paths)) {
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name)
      for (const { parameters = [] } of Object.values(methods)) {
        expect({ [path]: parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name) }).toEqual({ [path]: inPath })
      }
    }
  })

  it('says of every member of a body what it is, and of no others', () => {
    const bodies = Object.entries(document.components.schemas).filter(([name]) => /Request\d?$/.test(name)).map(([, schema]) => schema as { properties?: Record<string, { description?: string }> })
    const members = bodies.flatMap(({ properties = {} }) => Object.entries(properties))
    expect(members.filter(([, { description = '' }]) => description === '').map(([name]) => name)).toEqual([])
    const names = new Set(members.map(([name]) => name))
    expect(Object.keys(memberDescriptions).filter((name) => !names.has(name))).toEqual([])
  })

  it('knows every error that a client can be told', () => {
    const told = new Set(operations.flatMap(({ errors }) => errors))
    // On paths that are no operations, for methods that are none, and never sent.
    const elsewhere = ['method_not_allowed', 'request_aborted']
    expect([...told, ...elsewhere].sort()).toEqual(Object.keys(errorCatalogue).sort())
  })

  it('has the routes of the app, and no others', async () => {
    const urls = new Set<string>()
    const watch = (message: unknown): void => {
      (message as { fastify: FastifyInstance }).fastify.addHook('onRoute', ({ url }) => { urls.add(url) })
    }
    subscribe('fastify.initialization', watch)
    const { app } = await buildTestApp([createTestHost(createScriptedInference(() => []))])
    unsubscribe('fastify.initialization', watch)
    apps.push(app)

    // The pages of the documentation itself.
    const isDocumented = (url: string): boolean => !/^\/docs(\/|$)/.test(url)
    const served = await Promise.all([...urls].filter(isDocumented).map(async (url) => {
      // The app itself says which methods a path has.
      const { headers, statusCode } = await app.inject({ method: 'OPTIONS', url: url.replace(/:\w+|\*/g, 'x') })
      expect({ url, statusCode }).toEqual({ url, statusCode: 405 })
      const methods = String(headers['allow']).split(', ').filter((method) => method !== 'HEAD')
      return methods.map((method) => `${method} ${url.replace(/:\w+|\*/g, '{}')}`)
    }))
    const told = Object.entries(document.paths).flatMap(([path, methods]) => Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{\w+\}/g, '{}')}`))
    expect(told.sort()).toEqual(served.flat().sort())
  })
})
