import fastifyPlugin from 'fastify-plugin'
import { ServerError } from '../../domain/errors.ts'
import type { HttpServices } from '../services.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Tells of the server, or of what still runs in it; everything else is refused once the server drains. */
    answersWhileDraining?: boolean
  }
}

/**
 * Sends new requests elsewhere while the server drains, and lets go of the connections that they came on: a client that
 * keeps one alive would come back on it. Where another process takes over, requests are answered, and only their connections go.
 */
export const drainingPlugin = fastifyPlugin<Pick<HttpServices, 'lifecycle'>>(async (app, { lifecycle }) => {
  app.addHook('onRequest', async (request, reply) => {
    if (!lifecycle.isDraining && !lifecycle.isHandingOver) return
    reply.header('connection', 'close')
    if (!lifecycle.isDraining) return
    if (request.routeOptions.config.answersWhileDraining !== true) throw new ServerError('server_draining', 'The server is shutting down')
  })
}, { name: 'draining' })
