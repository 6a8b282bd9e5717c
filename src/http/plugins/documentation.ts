import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyPluginAsync } from 'fastify'
import { createOpenApiDocument, type OpenApiDocument } from '../openapi/create-openapi-document.ts'

export interface DocumentationOptions {
  /** Of the server. */
  readonly version: string
}

/** Swagger UI sets styles of its own in the page, but runs no script that is not a file, and asks nobody else. */
const contentSecurityPolicy = [
  'default-src \'self\'', 'base-uri \'none\'', 'form-action \'none\'', 'frame-ancestors \'none\'', 'img-src \'self\' data:', 'object-src \'none\'', 'style-src \'self\' \'unsafe-inline\''
].join('; ')

/**
 * `GET /openapi.json`, and `/docs`, where Swagger UI shows it. Both say what the server can do and nothing of what is on it, so they need no
 * key. All files come from the package; the document is made when somebody first asks for it.
 */
export const documentationPlugin: FastifyPluginAsync<DocumentationOptions> = async (app, { version }) => {
  let document: OpenApiDocument | null = null
  const find = (): OpenApiDocument => {
    document ??= createOpenApiDocument(version)
    return document
  }

  app.addHook('onRoute', (route) => { route.config = { ...route.config, isPublic: true } })
  app.get('/openapi.json', async () => find())
  await app.register(swagger, { mode: 'static', specification: { document: { openapi: '3.1.1', info: { title: 'Drawbridge', version }, paths: {} } } })
  await app.register(swaggerUi, {
    routePrefix: '/docs',
    staticCSP: contentSecurityPolicy,
    transformSpecification: find,
    transformSpecificationClone: false,
    theme: { title: 'Drawbridge API' },
    uiConfig: { layout: 'BaseLayout', docExpansion: 'list', defaultModelsExpandDepth: 0, displayRequestDuration: true }
  })
}
