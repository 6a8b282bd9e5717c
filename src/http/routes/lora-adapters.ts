import { ServerError } from '../../domain/errors.ts'
import { noteAction } from '../note-action.ts'
import { requireAdmin } from '../require-admin.ts'
import { adapterScalesSchema } from '../schemas/adapter-requests.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import type { Route } from '../services.ts'

/** `GET` and `POST /lora-adapters`, llama-server's: the adapters by number, and the scales of requests that name none. */
export const loraAdaptersRoute: Route = (app, services) => {
  const { adapters } = services

  app.get('/lora-adapters', async () => adapters.list().filter(({ state }) => state === 'ready' || state === 'evicted').map((adapter) => ({
    id: adapter.id,
    path: adapter.reference,
    scale: adapter.scale,
    task_name: '',
    prompt_prefix: '',
    // Not llama-server's.
    name: adapter.name,
    model: adapter.model
  })))

  app.post('/lora-adapters', async (request) => {
    noteAction(request, 'adapter.set-scales')
    requireAdmin(request, services)
    if (!Array.isArray(request.body)) throw new ServerError('invalid_value', 'Request body must be an array')
    const { scales } = parseRequest(adapterScalesSchema, { scales: request.body })
    noteAction(request, 'adapter.set-scales', { scales: scales.map(({ id, scale }) => `${id}=${scale}`).join(' ') })
    adapters.setScales(new Map(scales.map(({ id, scale }) => [id, scale])))
    return { success: true }
  })
}
