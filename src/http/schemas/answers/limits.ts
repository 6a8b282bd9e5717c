import { z } from 'zod'
import { limitNames, snakeName } from '../../../domain/limits.ts'
import { apiLimitsSchema } from '../limits.ts'
import { wireForms } from '../wire-form.ts'

/** What is left of the limits that a key has. */
export const limitStatesSchema = z.strictObject({
  object: z.literal('limits'),
  owner: z.string(),
  /** Null for keys that are not in the database. */
  key: z.string().nullable(),
  data: z.array(z.strictObject({
    /** Whether others share it: all keys of the owner. */
    of: z.enum(['key', 'owner']),
    name: z.enum(limitNames.map(snakeName)),
    limit: z.number(),
    /** Null for what is of each request by itself. */
    used: z.number().min(0).nullable(),
    remaining: z.number().min(0).nullable(),
    /** Seconds since 1970: when all of it is there again. */
    resets_at: z.int().min(0).nullable()
  }))
}).register(wireForms, { id: 'LimitStates' })

export const limitStatesListSchema = z.strictObject({ object: z.literal('list'), data: z.array(limitStatesSchema), has_more: z.boolean() })

export const ownerLimitsSchema = z.strictObject({ object: z.literal('owner'), owner: z.string(), limits: apiLimitsSchema }).register(wireForms, { id: 'OwnerLimits' })
