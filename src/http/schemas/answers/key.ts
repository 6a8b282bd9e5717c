import { z } from 'zod'
import { scopes } from '../../../domain/scopes.ts'
import { priorities } from '../../../domain/priority.ts'
import { apiLimitsSchema } from '../limits.ts'
import { wireForms } from '../wire-form.ts'

/** Seconds since 1970. */
const time = z.int().min(0)

const patterns = z.array(z.string()).nullable()

export const keySchema = z.strictObject({
  object: z.literal('key'),
  id: z.string(),
  prefix: z.string(),
  owner: z.string(),
  name: z.string(),
  state: z.enum(['active', 'expired', 'revoked']),
  scopes: z.array(z.enum(scopes)),
  models: patterns,
  adapters: patterns,
  weight: z.number(),
  priority: z.enum(priorities),
  highest_priority: z.enum(priorities),
  names_users: z.boolean(),
  limits: apiLimitsSchema,
  created_at: time,
  expires_at: time.nullable(),
  revoked_at: time.nullable(),
  last_used_at: time.nullable(),
  replaced_by: z.string().nullable()
}).register(wireForms, { id: 'Key' })

export const keyListSchema = z.strictObject({ object: z.literal('list'), data: z.array(keySchema), has_more: z.boolean() })

/** With the key itself, which is told this once. */
export const newKeySchema = z.strictObject({ ...keySchema.shape, key: z.string() }).register(wireForms, { id: 'NewKey' })
