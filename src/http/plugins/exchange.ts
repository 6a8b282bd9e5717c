import fastifyPlugin from 'fastify-plugin'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { toAnthropicRateHeaders, toOpenAiRateHeaders } from '../rate-headers.ts'
import { isFromAnthropicClient } from '../messages/anthropic-error.ts'
import type { RequestRecord } from '../../telemetry/observer.ts'
import type { HttpServices } from '../services.ts'
import { singleHeader } from '../single-header.ts'
import { RequestContext } from '../request-context.ts'

/**
 * Follows every exchange from its first hook to the end of its connection: gives it a context, its ids in the
 * headers, a signal that fires when the client leaves, and a place in log, metrics and traces.
 *
 * The signal comes from the response: `request.signal` of a POST fires as soon as its body was read.
 */
export const exchangePlugin = fastifyPlugin<HttpServices>(async (app, { limiter, now, observer, promptLog, tracing }) => {
  app.decorateRequest('requestContext')

  function finish (request: FastifyRequest, reply: FastifyReply, isComplete: boolean): void {
    const context = request.requestContext
    const { background } = context
    const tell = (): void => {
      const { reservation } = context
      // One that has begun is booked, also where its client has gone first.
      if (reservation?.isSettled === false && context.generation?.hasRun !== true) {
        reservation.isSettled = true
        limiter.release({ id: reservation.id, ...reservation.account, spending: null })
      }
      const outcome = context.outcome()
      const record: RequestRecord = {
        requestId: context.id,
        traceId: context.trace?.traceId ?? null,
        method: request.method,
        route: context.endpoint,
        status: outcome === 'aborted' ? 499 : reply.raw.statusCode,
        durationMs: now() - context.arrivedAt,
        outcome,
        errorCode: context.error?.code ?? null,
        tenant: context.caller.tenant === '' ? null : context.caller.tenant,
        address: context.address,
        action: context.action,
        refusedBy: context.refusedBy,
        generation: context.generation?.record() ?? null
      }
      observer.requestFinished(record)
      context.trace?.end(record)
      if (promptLog !== null && context.generation !== null) promptLog.append(toPromptEntry(request, record))
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
    const context = new RequestContext(request.id, request.routeOptions.url ?? 'unknown', now(), request.ip)
    request.requestContext = context
    context.tellRates = (rates) => {
      reply.headers(isFromAnthropicClient(request) ? toAnthropicRateHeaders(rates, Date.now()) : toOpenAiRateHeaders(rates))
    }
    context.trace = tracing.begin({
      method: request.method,
      route: request.routeOptions.url ?? null,
      traceparent: singleHeader(request.headers['traceparent']),
      tracestate: singleHeader(request.headers['tracestate'])
    })
    let isComplete = false
    reply.raw.once('finish', () => { isComplete = true })
    reply.raw.once('close', () => finish(request, reply, isComplete))
    reply.header('x-request-id', request.id)
    if (isFromAnthropicClient(request)) reply.header('request-id', request.id)
  })
}, { name: 'exchange' })

/** What was asked and answered: the one place where both are told, and only where the operator wants it. */
function toPromptEntry ({ body, requestContext: { generation } }: FastifyRequest, record: RequestRecord): object {
  return {
    time: new Date().toISOString(),
    requestId: record.requestId,
    traceId: record.traceId,
    completionId: record.generation?.id ?? null,
    tenant: record.tenant,
    route: record.route,
    model: record.generation?.model ?? null,
    adapters: record.generation?.adapters ?? [],
    outcome: record.outcome,
    request: body,
    answers: generation?.answers?.() ?? []
  }
}
