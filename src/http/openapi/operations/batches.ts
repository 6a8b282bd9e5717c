import { batchListSchema, batchSchema } from '../../schemas/answers/batch.ts'
import { deletedFileSchema, fileListSchema, fileSchema } from '../../schemas/answers/file.ts'
import { batchQuerySchema, createBatchSchema } from '../../schemas/batch-requests.ts'
import { createFileSchema, fileQuerySchema } from '../../schemas/file-requests.ts'
import { accessErrors, bodyErrors, queryErrors } from '../error-codes.ts'
import type { Operation } from '../operation.ts'

const tag = 'Batches'
const fileId = { id: 'Id of a file' }
const batchId = { id: 'Id of a batch' }
/** The last one where there is no database. */
const errors = [...accessErrors, 'server_draining', 'internal_error', 'route_not_found'] as const

export const batchOperations: readonly Operation[] = [
  {
    id: 'listFiles',
    method: 'get',
    paths: ['/v1/files'],
    tag,
    summary: 'The files of whoever asks',
    query: fileQuerySchema,
    answers: { 200: { description: 'A page of them', json: fileListSchema } },
    errors: [...errors, ...queryErrors, 'file_not_found']
  },
  {
    id: 'createFile',
    method: 'post',
    paths: ['/v1/files'],
    tag,
    summary: 'Uploads a file of requests, a line of JSON for each',
    body: { schemas: [createFileSchema], mediaType: 'multipart/form-data', example: { file: 'requests.jsonl', purpose: 'batch' } },
    answers: { 200: { description: 'The file', json: fileSchema } },
    errors: [...errors, ...bodyErrors, 'storage_quota_exceeded']
  },
  {
    id: 'retrieveFile',
    method: 'get',
    paths: ['/v1/files/{id}'],
    tag,
    summary: 'One file',
    pathParameters: fileId,
    answers: { 200: { description: 'The file', json: fileSchema } },
    errors: [...errors, 'file_not_found']
  },
  {
    id: 'deleteFile',
    method: 'delete',
    paths: ['/v1/files/{id}'],
    tag,
    summary: 'Deletes a file',
    pathParameters: fileId,
    answers: { 200: { description: 'That it is gone', json: deletedFileSchema } },
    errors: [...errors, 'file_not_found']
  },
  {
    id: 'downloadFile',
    method: 'get',
    paths: ['/v1/files/{id}/content'],
    tag,
    summary: 'What is in a file',
    pathParameters: fileId,
    answers: { 200: { description: 'Its bytes', text: 'application/octet-stream' } },
    errors: [...errors, 'file_not_found']
  },
  {
    id: 'listBatches',
    method: 'get',
    paths: ['/v1/batches'],
    tag,
    summary: 'The batches of whoever asks, newest first',
    query: batchQuerySchema,
    answers: { 200: { description: 'A page of them', json: batchListSchema } },
    errors: [...errors, ...queryErrors, 'batch_not_found']
  },
  {
    id: 'createBatch',
    method: 'post',
    paths: ['/v1/batches'],
    tag,
    summary: 'Has the requests of a file run in idle time',
    body: { schemas: [createBatchSchema], example: { input_file_id: 'file-abc123', endpoint: '/v1/chat/completions', completion_window: '24h' } },
    answers: { 200: { description: 'The batch', json: batchSchema } },
    errors: [...errors, ...bodyErrors, 'file_not_found', 'queue_full']
  },
  {
    id: 'retrieveBatch',
    method: 'get',
    paths: ['/v1/batches/{id}'],
    tag,
    summary: 'How far a batch is',
    pathParameters: batchId,
    answers: { 200: { description: 'The batch', json: batchSchema } },
    errors: [...errors, 'batch_not_found']
  },
  {
    id: 'cancelBatch',
    method: 'post',
    paths: ['/v1/batches/{id}/cancel'],
    tag,
    summary: 'Stops a batch; what it has made until then is kept',
    pathParameters: batchId,
    answers: { 200: { description: 'The batch', json: batchSchema } },
    errors: [...errors, 'batch_not_found', 'invalid_value']
  }
]
