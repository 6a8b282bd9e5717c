import fastifyPlugin from 'fastify-plugin'
import type { HttpServices } from '../services.ts'

const single = (header: string | string[] | undefined): string | undefined => Array.isArray(header) ? header[0] : header

/** Finds out who asks, before anything else of the request is looked at. Unknown paths are behind the keys as well. */
export const accessPlugin = fastifyPlugin<HttpServices>(async (app, { access }) => {
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.isPublic === true) return
    request.requestContext.tenant = access.identify({
      authorization: request.headers.authorization,
      xApiKey: single(request.headers['x-api-key']),
      address: request.ip
    })
  })
}, { name: 'access' })
