import { z } from 'zod'
import { ServerError } from '../../domain/errors.ts'
import type { TenantId } from '../../domain/ids.ts'
import { EventLog } from '../responses/event-log.ts'
import { pageOf } from '../responses/page-of.ts'
import type { StoredResponse } from '../responses/response-store.ts'
import { streamLog } from '../responses/stream-log.ts'
import { includeQueryMembers, listQuerySchema } from '../schemas/list-query.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import type { HttpServices, Route } from '../services.ts'

export const responseQuerySchema = z.strictObject({
  ...includeQueryMembers,
  stream: z.enum(['true', 'false']).default('false'),
  /** The sequence number of the last event that the client has seen. */
  starting_after: z.string().regex(/^\d{1,9}$/, 'expected a number').transform(Number).optional(),
  include_obfuscation: z.literal('false').optional()
})

interface ById { Params: { id: string } }

/** `GET` and `DELETE /v1/responses/{id}`, `POST /v1/responses/{id}/cancel`, `GET /v1/responses/{id}/input_items` */
export const responseRoute: Route = (app, services) => {
  const { backgroundRuns, responseStore } = services

  // What runs in the background ends before the server does, and is nowhere else.
  app.get<ById>('/v1/responses/:id', { config: { answersWhileDraining: true } }, async (request, reply) => {
    const { caller: { tenant } } = request.requestContext
    const query = parseRequest(responseQuerySchema, request.query)
    const run = backgroundRuns.find(tenant, request.params.id)
    const stored = findResponse(tenant, request.params.id, services)
    if (query.stream === 'false') {
      if (query.starting_after !== undefined) throw new ServerError('invalid_value', 'The parameter \'starting_after\' is only allowed when \'stream\' is true', { param: 'starting_after' })
      return stored.body
    }
    const log = run === null ? stored.events === null ? null : new EventLog(stored.events) : run.log
    if (log === null) throw new ServerError('invalid_value', 'Invalid value for \'stream\': only responses that were made with "background": true and "stream": true can be streamed later', { param: 'stream' })
    return await streamLog(reply, services, log, query.starting_after ?? -1)
  })

  app.delete<ById>('/v1/responses/:id', { config: { answersWhileDraining: true } }, async (request) => {
    const { caller: { tenant } } = request.requestContext
    const { id } = request.params
    const run = backgroundRuns.find(tenant, id)
    run?.cancel()
    await run?.ended
    if (!responseStore.deleteResponse(tenant, id) && run === null) throw notFound(id)
    return { id, object: 'response', deleted: true }
  })

  app.post<ById>('/v1/responses/:id/cancel', { config: { answersWhileDraining: true } }, async (request) => {
    const { caller: { tenant } } = request.requestContext
    const run = backgroundRuns.find(tenant, request.params.id)
    if (run !== null) {
      run.cancel()
      await run.ended
      return run.response.body
    }
    const { body } = findResponse(tenant, request.params.id, services)
    if (body.background !== true) throw new ServerError('invalid_value', 'Only responses that were made with "background": true can be cancelled', { param: 'id' })
    return body
  })

  app.get<ById>('/v1/responses/:id/input_items', async (request) => {
    const { caller: { tenant } } = request.requestContext
    const query = parseRequest(listQuerySchema, request.query)
    return pageOf(findResponse(tenant, request.params.id, services).input, query)
  })

  app.post('/v1/responses/compact', async () => {
    throw new ServerError('route_not_found', 'Compaction is not supported: conversations are never shortened by this server')
  })
}

/** A response that is stored, or is being made in the background. */
function findResponse (tenant: TenantId, id: string, { backgroundRuns, responseStore }: HttpServices): StoredResponse {
  const run = backgroundRuns.find(tenant, id)
  const found = run === null ? responseStore.findResponse(tenant, id) : { ...run.response, events: run.log?.events ?? null }
  if (found === null) throw notFound(id)
  return found
}

const notFound = (id: string): ServerError =>
  new ServerError('response_not_found', `Response with id '${id.slice(0, 128)}' not found: it was never stored, or is no longer`, { param: 'id' })
