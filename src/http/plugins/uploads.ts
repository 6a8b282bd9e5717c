import multipart from '@fastify/multipart'
import type { FastifyPluginAsync } from 'fastify'
import { batchesOf } from '../batches/batch-service.ts'
import { toFileObject } from '../batches/file-object.ts'
import { receiveFile } from '../batches/receive-file.ts'
import { needs } from '../needs.ts'
import type { HttpServices } from '../services.ts'

/** `POST /v1/files`, the one route that takes forms: elsewhere they are a media type that is not supported. */
export const uploadsPlugin: FastifyPluginAsync<HttpServices> = async (app, services) => {
  await app.register(multipart)
  app.post('/v1/files', needs('inference'), async (request) => toFileObject(await receiveFile(request, batchesOf(services).files, services.config)))
}
