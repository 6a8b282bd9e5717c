import { z } from 'zod'

/** What the commands show of an adapter. */
export const adapterSchema = z.object({
  id: z.number(),
  name: z.string(),
  model: z.string(),
  state: z.string(),
  generation: z.number(),
  source: z.string(),
  scale: z.number(),
  pinned: z.boolean(),
  rank: z.number().nullable(),
  bytes: z.number().nullable(),
  resident_bytes: z.number(),
  in_flight: z.number(),
  error: z.string().nullable()
})

export type ShownAdapter = z.infer<typeof adapterSchema>
