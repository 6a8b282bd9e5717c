import { Readable } from 'node:stream'
import { batchesOf } from '../batches/batch-service.ts'
import { toFileObject } from '../batches/file-object.ts'
import { toPage } from '../batches/to-page.ts'
import { ServerError } from '../../domain/errors.ts'
import type { StoredFile } from '../../batches/files/stored-file.ts'
import { needs } from '../needs.ts'
import { fileQuerySchema } from '../schemas/file-requests.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import type { Route } from '../services.ts'

interface ById { Params: { id: string } }

/** `GET /v1/files`, `GET` and `DELETE /v1/files/{id}`, `GET /v1/files/{id}/content` */
export const filesRoute: Route = (app, services) => {
  const find = async (tenant: string, id: string): Promise<StoredFile> => {
    const file = await batchesOf(services).files.find(tenant, id)
    if (file === null) throw notFound(id)
    return file
  }

  app.get('/v1/files', needs('inference'), async (request) => {
    const { files, hasMore } = await batchesOf(services).files.list(request.requestContext.caller.tenant, parseRequest(fileQuerySchema, request.query))
    return toPage(files.map(toFileObject), hasMore)
  })

  app.get<ById>('/v1/files/:id', needs('inference'), async (request) => toFileObject(await find(request.requestContext.caller.tenant, request.params.id)))

  app.delete<ById>('/v1/files/:id', needs('inference'), async (request) => {
    const { id } = request.params
    const service = batchesOf(services)
    if (!await service.files.remove(request.requestContext.caller.tenant, id)) throw notFound(id)
    // Its pieces go in the client's absence.
    service.sweep().catch(() => {})
    return { id, object: 'file', deleted: true }
  })

  app.get<ById>('/v1/files/:id/content', needs('inference'), async (request, reply) => {
    const { id, bytes, filename } = await find(request.requestContext.caller.tenant, request.params.id)
    return reply
      .type('application/octet-stream')
      .header('content-length', bytes)
      .header('content-disposition', `attachment; filename*=UTF-8''${encodeURIComponent(filename.toWellFormed())}`)
      .send(Readable.from(batchesOf(services).files.read(id), { objectMode: false, highWaterMark: 1 }))
  })
}

const notFound = (id: string): ServerError => new ServerError('file_not_found', `No such File object: ${id.slice(0, 128)}`, { param: 'id' })
