import { z } from 'zod'
import { type NewKey, newKeySchema } from '../../access/keys/api-key.ts'
import { ServerError } from '../../domain/errors.ts'
import { parseRequest } from './parse-request.ts'

const { owner, name, scopes, models, adapters, weight, priority, highestPriority, namesUsers } = newKeySchema.shape

/** Ten years. */
const longestSeconds = 10 * 366 * 24 * 60 * 60

const createKeySchema = z.strictObject({
  owner,
  name,
  scopes,
  models,
  adapters,
  weight,
  priority,
  highest_priority: highestPriority,
  names_users: namesUsers,
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
  const { highest_priority: highest, names_users: names, expires_at: expiresAt, expires_in: expiresIn, ...wish } = parseRequest(createKeySchema, raw)
  if (expiresAt !== undefined && expiresIn !== undefined) {
    throw new ServerError('invalid_value', 'Invalid value for \'expires_in\': it and \'expires_at\' say the same; leave one of them out', { param: 'expires_in' })
  }
  return {
    ...wish,
    highestPriority: highest,
    namesUsers: names,
    expiresAt: expiresAt !== undefined ? expiresAt * 1000 : expiresIn === undefined ? null : now + expiresIn * 1000
  }
}

export const rotateKeySchema = z.strictObject({
  /** Seconds that the old key goes on working. */
  overlap: z.int().min(0).max(30 * 24 * 60 * 60).default(0)
})

export const keyQuerySchema = z.strictObject({ owner: owner.optional() })
