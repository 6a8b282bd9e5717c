import { keyListSchema, keySchema, newKeySchema } from '../../schemas/answers/key.ts'
import { createKeySchema, keyPageQuerySchema, rotateKeySchema, updateKeySchema } from '../../schemas/key-requests.ts'
import { accessErrors, bodyErrors, queryErrors } from '../error-codes.ts'
import type { Operation } from '../operation.ts'

const tag = 'Keys'
const id = { id: 'Id of a key' }
const forAdmins = 'Needs an admin\'s key, and a server with a database of keys.'
/** The last one where there is no database. */
const errors = [...accessErrors, 'internal_error', 'route_not_found'] as const

export const keyOperations: readonly Operation[] = [
  {
    id: 'listKeys',
    method: 'get',
    paths: ['/v1/admin/keys'],
    tag,
    summary: 'The keys, also those that have ended',
    description: forAdmins,
    query: keyPageQuerySchema,
    answers: { 200: { description: 'A page of keys, the oldest first', json: keyListSchema } },
    errors: [...errors, ...queryErrors, 'key_not_found']
  },
  {
    id: 'createKey',
    method: 'post',
    paths: ['/v1/admin/keys'],
    tag,
    summary: 'Makes a key',
    description: forAdmins,
    body: { schemas: [createKeySchema], example: { owner: 'anna', expires_in: 7_776_000 } },
    answers: { 201: { description: 'The key, this once with its secret', json: newKeySchema } },
    errors: [...errors, ...bodyErrors]
  },
  {
    id: 'retrieveKey',
    method: 'get',
    paths: ['/v1/admin/keys/{id}'],
    tag,
    summary: 'One key',
    description: forAdmins,
    pathParameters: id,
    answers: { 200: { description: 'The key', json: keySchema } },
    errors: [...errors, 'key_not_found']
  },
  {
    id: 'updateKey',
    method: 'post',
    paths: ['/v1/admin/keys/{id}'],
    tag,
    summary: 'Changes a key',
    description: `${forAdmins} What is absent stays; null is all models or adapters, and takes a limit away.`,
    pathParameters: id,
    body: { schemas: [updateKeySchema], example: { limits: { requests_per_minute: 60, tokens_per_day: 1_000_000 } } },
    answers: { 200: { description: 'The key as it is now', json: keySchema } },
    errors: [...errors, ...bodyErrors, 'key_not_found']
  },
  {
    id: 'rotateKey',
    method: 'post',
    paths: ['/v1/admin/keys/{id}/rotate'],
    tag,
    summary: 'Makes a key that takes the place of another one',
    description: forAdmins,
    pathParameters: id,
    body: { schemas: [rotateKeySchema], isOptional: true, example: { overlap: 3600 } },
    answers: { 201: { description: 'The new key, this once with its secret', json: newKeySchema } },
    errors: [...errors, ...bodyErrors, 'key_not_found']
  },
  {
    id: 'revokeKey',
    method: 'delete',
    paths: ['/v1/admin/keys/{id}'],
    tag,
    summary: 'Revokes a key',
    description: forAdmins,
    pathParameters: id,
    answers: { 200: { description: 'The key as it is now', json: keySchema } },
    errors: [...errors, 'key_not_found']
  }
]
