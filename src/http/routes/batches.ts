import { ServerError } from '../../domain/errors.ts'
import { toBatchObject } from '../batches/batch-object.ts'
import { batchesOf } from '../batches/batch-service.ts'
import { toPage } from '../batches/to-page.ts'
import { needs } from '../needs.ts'
import { noteAction, noted } from '../note-action.ts'
import { batchQuerySchema, createBatchSchema } from '../schemas/batch-requests.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import type { Route } from '../services.ts'

interface ById { Params: { id: string } }

/** `GET` and `POST /v1/batches`, `GET /v1/batches/{id}`, `POST /v1/batches/{id}/cancel` */
export const batchesRoute: Route = (app, services) => {
  const inference = needs('inference')

  app.post('/v1/batches', noted('batch.create', inference), async (request) => {
    const { batches, files, wake } = batchesOf(services)
    const { caller } = request.requestContext
    const { endpoint, input_file_id: inputFileId, metadata = null, output_expires_after: expiry } = parseRequest(createBatchSchema, request.body)
    const file = await files.find(caller.tenant, inputFileId)
    if (file === null) throw new ServerError('file_not_found', `No such File object: ${inputFileId}`, { param: 'input_file_id' })
    if (file.purpose !== 'batch') throw new ServerError('invalid_value', 'Invalid value for \'input_file_id\': the file is not for a batch; upload one with the purpose "batch"', { param: 'input_file_id' })
    const { owner, tenant, keyId, isAnonymous } = caller
    const batch = await batches.create({
      owner, tenant, keyId, isAnonymous, endpoint, inputFileId, metadata, outputTtlMs: expiry === undefined ? null : expiry.seconds * 1000
    })
    noteAction(request, 'batch.create', { batch: batch.id, file: inputFileId, endpoint })
    wake()
    return toBatchObject(batch)
  })

  app.get('/v1/batches', inference, async (request) => {
    const { limit, after } = parseRequest(batchQuerySchema, request.query)
    const { batches, hasMore } = await batchesOf(services).batches.list(request.requestContext.caller.tenant, limit, after)
    return toPage(batches.map(toBatchObject), hasMore)
  })

  app.get<ById>('/v1/batches/:id', inference, async (request) =>
    toBatchObject(await batchesOf(services).batches.get(request.requestContext.caller.tenant, request.params.id)))

  app.post<ById>('/v1/batches/:id/cancel', noted('batch.cancel', inference), async (request) => {
    const { batches, wake } = batchesOf(services)
    const batch = await batches.cancel(request.requestContext.caller.tenant, request.params.id)
    noteAction(request, 'batch.cancel', { batch: batch.id })
    wake()
    return toBatchObject(batch)
  })
}
