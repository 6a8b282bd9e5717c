import { z } from 'zod'

export const healthSchema = z.strictObject({ status: z.literal('ok') })

const stateSchema = z.enum(['loading', 'ready', 'restarting', 'draining', 'failed', 'closed'])

export const readinessSchema = z.strictObject({
  status: stateSchema,
  /** Not told where the route needs no key. */
  models: z.array(z.strictObject({ id: z.string(), state: stateSchema, reason: z.string().nullable(), restarts: z.int().min(0) })).optional()
})

export const rootSchema = z.strictObject({
  name: z.literal('drawbridge'), message: z.string(), models: z.array(z.string()), endpoints: z.array(z.string())
})
