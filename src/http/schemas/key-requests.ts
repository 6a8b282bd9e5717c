import { z } from 'zod'
import { newKeySchema } from '../../access/keys/api-key.ts'

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
  /** Seconds since 1970. */
  expires_at: z.int().min(0).max(100_000_000_000).optional(),
  /** Seconds from now. */
  expires_in: z.int().min(1).max(longestSeconds).optional()
})

export const rotateKeySchema = z.strictObject({
  /** Seconds that the old key goes on working. */
  overlap: z.int().min(0).max(30 * 24 * 60 * 60).default(0)
})

export const keyQuerySchema = z.strictObject({ owner: owner.optional() })
