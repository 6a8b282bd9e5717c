import swagger from '@fastify/swagger'
import swaggerUi from '@fastify/swagger-ui'
import type { FastifyPluginAsync, FastifyReply, FastifyRequest } from 'fastify'
import { ServerError } from '../../domain/errors.ts'
import { createOpenApiDocument } from '../openapi/create-openapi-document.ts'

export interface DocumentationOptions {
  /** Of the server. */
  readonly version: string
}

const prefix = '/docs'

/** Swagger UI sets styles of its own in the page, but runs no script that is not a file, and asks nobody else. */
const contentSecurityPolicy = [
  'default-src \'self\'', 'base-uri \'none\'', 'form-action \'none\'', 'frame-ancestors \'none\'', 'img-src \'self\' data:', 'object-src \'none\'', 'style-src \'self\' \'unsafe-inline\''
].join('; ')

/**
 * `GET /openapi.json`, and `/docs`, where Swagger UI shows it. Both say what the server can do and nothing of what is on it, so they need no
 * key. All files come from the package. The document is made once, before there are streams that would wait for it.
 */
export const documentationPlugin: FastifyPluginAsync<DocumentationOptions> = async (app, { version }) => {
  let document: string | null = null
  const find = (): string => {
    document ??= JSON.stringify(createOpenApiDocument(version))
    return document
  }
  const sendDocument = (reply: FastifyReply): FastifyReply => reply.type('application/json; charset=utf-8').send(find())

  app.addHook('onListen', async () => { find() })
  app.addHook('onRoute', (route) => { route.config = { ...route.config, isPublic: true } })
  app.get('/openapi.json', async (_request, reply) => sendDocument(reply))
  // Swagger UI's own routes would write the document anew for every request, and as YAML that takes long.
  const answerForDocument = (request: FastifyRequest, reply: FastifyReply, next: (error?: Error) => void): void => {
    const { url } = request.routeOptions
    if (url === `${prefix}/json`) sendDocument(reply)
    else next(url === `${prefix}/yaml` ? new ServerError('route_not_found', `There is no ${prefix}/yaml; the document is JSON, at /openapi.json.`) : undefined)
  }
  await app.register(swagger, { mode: 'static', specification: { document: { openapi: '3.1.1', info: { title: 'Drawbridge', version }, paths: {} } } })
  await app.register(swaggerUi, {
    routePrefix: prefix,
    staticCSP: contentSecurityPolicy,
    uiHooks: { onRequest: answerForDocument },
    theme: { title: 'Drawbridge API' },
    uiConfig: { layout: 'BaseLayout', docExpansion: 'list', defaultModelsExpandDepth: 0, displayRequestDuration: true }
  })
}
