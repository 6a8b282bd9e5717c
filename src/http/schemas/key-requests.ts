import { z } from 'zod'
import { type NewKey, newKeySchema } from '../../access/keys/api-key.ts'
import type { KeyChange } from '../../access/keys/key-store.ts'
import { ServerError } from '../../domain/errors.ts'
import { apiLimitsSchema, limitsChangeSchema, toChange, toLimits } from './limits.ts'
import { number } from './list-query.ts'
import { parseRequest } from './parse-request.ts'

const { owner, name, scopes, models, adapters, weight, priority, highestPriority, namesUsers } = newKeySchema.shape

/** Ten years. */
const longestSeconds = 10 * 366 * 24 * 60 * 60

export const createKeySchema = z.strictObject({
  owner,
  name,
  scopes,
  models,
  adapters,
  weight,
  priority,
  highest_priority: highestPriority,
  names_users: namesUsers,
  limits: apiLimitsSchema.default({}),
  /** Seconds since 1970. */
  expires_at: z.int().min(0).max(100_000_000_000).optional(),
  /** Seconds from now. */
  expires_in: z.int().min(1).max(longestSeconds).optional()
})

/**
 * What a request to make a key asks for.
 * @param now milliseconds since 1970
 * @throws ServerError as `parseRequest`
 */
export function readNewKey (raw: unknown, now: number): NewKey {
  const { highest_priority: highest, names_users: names, expires_at: expiresAt, expires_in: expiresIn, limits, ...wish } = parseRequest(createKeySchema, raw)
  if (expiresAt !== undefined && expiresIn !== undefined) {
    throw new ServerError('invalid_value', 'Invalid value for \'expires_in\': it and \'expires_at\' say the same; leave one of them out', { param: 'expires_in' })
  }
  return {
    ...wish,
    highestPriority: highest,
    namesUsers: names,
    limits: toLimits(limits),
    expiresAt: expiresAt !== undefined ? expiresAt * 1000 : expiresIn === undefined ? null : now + expiresIn * 1000
  }
}

export const updateKeySchema = z.strictObject({
  name: name.unwrap().optional(),
  scopes: scopes.unwrap().optional(),
  models: models.unwrap().optional(),
  adapters: adapters.unwrap().optional(),
  weight: weight.unwrap().optional(),
  limits: limitsChangeSchema.optional()
})

/**
 * What a request to change a key asks for. Null is all models, or all adapters.
 * @throws ServerError as `parseRequest`
 */
export function readKeyChange (raw: unknown): KeyChange {
  const { limits, ...change } = parseRequest(updateKeySchema, raw)
  const hasNull = (member: 'models' | 'adapters'): boolean => typeof raw === 'object' && raw !== null && member in raw && (raw as Record<string, unknown>)[member] === null
  return {
    ...change,
    ...hasNull('models') ? { models: null } : {},
    ...hasNull('adapters') ? { adapters: null } : {},
    ...limits === undefined ? {} : { limits: toChange(limits) }
  }
}

export const rotateKeySchema = z.strictObject({
  /** Seconds that the old key goes on working. */
  overlap: z.int().min(0).max(30 * 24 * 60 * 60).default(0)
})

/** Query of a list that is read page by page, the oldest keys first. */
export const keyPageQuerySchema = z.strictObject({
  owner: z.string().min(1).max(256).optional(),
  limit: number(1000).default(100),
  /** The id of the key before the page. */
  after: z.string().min(1).max(256).optional()
})

export const ownerPathSchema = z.strictObject({ owner })

export const ownerLimitsSchema = z.strictObject({ limits: limitsChangeSchema })
