import fastifyPlugin from 'fastify-plugin'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { isFromAnthropicClient } from '../messages/anthropic-error.ts'
import type { HttpServices } from '../services.ts'
import { RequestContext } from '../request-context.ts'

/**
 * Follows every exchange from its first hook to the end of its connection: gives it a context, the headers that all
 * answers have, a signal that fires when the client leaves, and a line in log and metrics.
 *
 * The signal comes from the response: `request.signal` of a POST fires as soon as its body was read.
 */
export const exchangePlugin = fastifyPlugin<HttpServices>(async (app, { now, observer }) => {
  app.decorateRequest('requestContext')

  function finish (request: FastifyRequest, reply: FastifyReply, isComplete: boolean): void {
    const context = request.requestContext
    const { background } = context
    const tell = (): void => {
      const outcome = context.outcome()
      observer.requestFinished({
        requestId: context.id,
        method: request.method,
        route: context.endpoint,
        status: outcome === 'aborted' ? 499 : reply.raw.statusCode,
        durationMs: now() - context.arrivedAt,
        outcome,
        errorCode: context.error?.code ?? null,
        tenant: context.caller.tenant === '' ? null : context.caller.tenant,
        generation: context.generation?.record() ?? null
      })
    }
    if (background !== null) {
      background.then(tell, tell)
      return
    }
    if (!isComplete) {
      // When the server gave up first, the error says why.
      if (context.error === null) context.isAborted = true
      context.cancellation.abort()
    }
    tell()
  }

  app.addHook('onRequest', async (request, reply) => {
    request.requestContext = new RequestContext(request.id, request.routeOptions.url ?? 'unknown', now())
    let isComplete = false
    reply.raw.once('finish', () => { isComplete = true })
    reply.raw.once('close', () => finish(request, reply, isComplete))
    reply.header('x-request-id', request.id)
    if (isFromAnthropicClient(request)) reply.header('request-id', request.id)
    reply.header('x-content-type-options', 'nosniff')
    reply.header('cache-control', 'no-store')
  })
}, { name: 'exchange' })
