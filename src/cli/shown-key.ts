import { z } from 'zod'

/** What the commands show of an API key. */
export const shownKeySchema = z.object({
  id: z.string(),
  prefix: z.string(),
  owner: z.string(),
  name: z.string(),
  state: z.string(),
  scopes: z.array(z.string()),
  models: z.array(z.string()).nullable(),
  adapters: z.array(z.string()).nullable(),
  limits: z.record(z.string(), z.union([z.number(), z.literal('off')])),
  /** Seconds since 1970, as all times here. */
  expires_at: z.number().nullable(),
  revoked_at: z.number().nullable(),
  last_used_at: z.number().nullable()
})

export type ShownKey = z.infer<typeof shownKeySchema>

export const createdKeySchema = shownKeySchema.extend({ key: z.string() })

export type CreatedKeyAnswer = z.infer<typeof createdKeySchema>
