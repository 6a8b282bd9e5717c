import { limitStatesListSchema, limitStatesSchema, ownerLimitsSchema } from '../../schemas/answers/limits.ts'
import { keyPageQuerySchema, ownerLimitsSchema as changeSchema } from '../../schemas/key-requests.ts'
import { accessErrors, bodyErrors, keyErrors, queryErrors } from '../error-codes.ts'
import type { Operation } from '../operation.ts'

const tag = 'Keys'
const owner = { owner: 'An owner of keys' }

export const limitOperations: readonly Operation[] = [
  {
    id: 'retrieveLimits',
    method: 'get',
    paths: ['/v1/limits'],
    tag,
    summary: 'What is left of the limits of the key',
    answers: { 200: { description: 'Its limits, and those of all keys of its owner', json: limitStatesSchema } },
    errors: [...keyErrors, 'internal_error']
  },
  {
    id: 'listLimits',
    method: 'get',
    paths: ['/v1/admin/limits'],
    tag,
    summary: 'What is left of everybody\'s limits',
    description: 'Owners of the settings come before the first page of keys.',
    query: keyPageQuerySchema,
    answers: { 200: { description: 'Key by key, the oldest first', json: limitStatesListSchema } },
    errors: [...accessErrors, ...queryErrors, 'internal_error', 'key_not_found']
  },
  {
    id: 'retrieveOwnerLimits',
    method: 'get',
    paths: ['/v1/admin/owners/{owner}/limits'],
    tag,
    summary: 'The limits that all keys of an owner share',
    pathParameters: owner,
    answers: { 200: { description: 'The limits', json: ownerLimitsSchema } },
    errors: [...accessErrors, 'invalid_value', 'internal_error', 'route_not_found']
  },
  {
    id: 'updateOwnerLimits',
    method: 'post',
    paths: ['/v1/admin/owners/{owner}/limits'],
    tag,
    summary: 'Changes the limits that all keys of an owner share',
    description: 'What is absent stays; null takes a limit away.',
    pathParameters: owner,
    body: { schemas: [changeSchema], example: { limits: { tokens_per_month: 1_000_000, concurrent_requests: 8 } } },
    answers: { 200: { description: 'The limits as they are now', json: ownerLimitsSchema } },
    errors: [...accessErrors, ...bodyErrors, 'route_not_found']
  }
]
