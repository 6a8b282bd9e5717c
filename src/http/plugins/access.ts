import fastifyPlugin from 'fastify-plugin'
import { userHeader } from '../../access/static-keys.ts'
import type { HttpServices } from '../services.ts'

const single = (header: string | string[] | undefined): string | undefined => Array.isArray(header) ? header[0] : header

/** Finds out who asks, before anything else of the request is looked at. Unknown paths are behind the keys as well. */
export const accessPlugin = fastifyPlugin<HttpServices>(async (app, { access }) => {
  app.addHook('onRequest', async (request) => {
    if (request.routeOptions.config.isPublic === true) return
    request.requestContext.caller = access.identify({
      authorization: request.headers.authorization,
      xApiKey: single(request.headers['x-api-key']),
      address: request.ip,
      user: single(request.headers[userHeader])
    })
  })
}, { name: 'access' })
