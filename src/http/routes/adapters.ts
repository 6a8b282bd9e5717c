import type { AdapterStatus } from '../../adapters/adapter-status.ts'
import { noteAction, plainSource } from '../note-action.ts'
import { requireAdmin } from '../require-admin.ts'
import { adapterQuerySchema, loadAdapterSchema } from '../schemas/adapter-requests.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import type { Route } from '../services.ts'

const seconds = (milliseconds: number | null): number | null => milliseconds === null ? null : Math.floor(milliseconds / 1000)

export const toAdapterObject = (adapter: AdapterStatus) => ({
  object: 'adapter',
  id: adapter.id,
  name: adapter.name,
  model: adapter.model,
  state: adapter.state,
  next: adapter.next,
  generation: adapter.generation,
  source: adapter.reference,
  origin: adapter.origin,
  scale: adapter.scale,
  pinned: adapter.isPinned,
  format: adapter.facts?.format ?? null,
  rank: adapter.facts?.rank ?? null,
  alpha: adapter.facts?.alpha ?? null,
  bytes: adapter.facts?.sizeBytes ?? null,
  resident_bytes: adapter.residentBytes,
  in_flight: adapter.inFlight,
  waiting: adapter.waiting,
  draining: adapter.draining.map(({ generation, inFlight, sizeBytes }) => ({ generation, in_flight: inFlight, bytes: sizeBytes })),
  created: seconds(adapter.createdAt),
  loaded_at: seconds(adapter.loadedAt),
  load_seconds: adapter.loadMs === null ? null : Math.round(adapter.loadMs) / 1000,
  error: adapter.error
})

/** `GET` and `POST /v1/adapters`, `GET` and `DELETE /v1/adapters/{name}`: adapters in all their states. */
export const adaptersRoute: Route = (app, services) => {
  const { adapters } = services

  app.get('/v1/adapters', async () => {
    const list = adapters.list()
    return { object: 'list', data: list.map(toAdapterObject), resident_bytes: list.reduce((sum, { residentBytes }) => sum + residentBytes, 0) }
  })

  app.post('/v1/adapters', async (request, reply) => {
    noteAction(request, 'adapter.load')
    requireAdmin(request, services)
    const body = parseRequest(loadAdapterSchema, request.body)
    noteAction(request, 'adapter.load', { adapter: body.name, model: body.model ?? null, source: plainSource(body.source) })
    const status = await adapters.load({
      name: body.name,
      reference: body.source,
      model: body.model,
      scale: body.scale,
      isPinned: body.pinned,
      ifExists: body.replace ? 'replace' : 'refuse',
      expectedGeneration: body.expected_generation
    }, request.requestContext.cancellation.signal)
    noteAction(request, 'adapter.load', { model: status.model, generation: status.generation })
    reply.code(status.generation === 1 ? 201 : 200)
    return toAdapterObject(status)
  })

  app.get<{ Params: { '*': string } }>('/v1/adapters/*', async (request) => {
    const { model } = parseRequest(adapterQuerySchema, request.query)
    return toAdapterObject(adapters.find(request.params['*'], model))
  })

  app.delete<{ Params: { '*': string } }>('/v1/adapters/*', async (request) => {
    noteAction(request, 'adapter.unload', { adapter: request.params['*'] })
    requireAdmin(request, services)
    const { model, expected_generation: expectedGeneration } = parseRequest(adapterQuerySchema, request.query)
    const status = await adapters.unload(request.params['*'], { model, expectedGeneration })
    noteAction(request, 'adapter.unload', { model: status.model, generation: status.generation })
    return { ...toAdapterObject(status), state: status.inFlight > 0 ? 'draining' : 'gone' }
  })
}
