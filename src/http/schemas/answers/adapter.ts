import { z } from 'zod'
import { wireForms } from '../wire-form.ts'

const count = z.int().min(0)
const steps = ['fetching', 'checking', 'loading'] as const

export const adapterSchema = z.strictObject({
  object: z.literal('adapter'),
  id: count,
  name: z.string(),
  model: z.string(),
  state: z.enum([...steps, 'ready', 'evicted', 'draining', 'failed', 'gone']),
  next: z.enum(steps).nullable(),
  generation: count,
  source: z.string(),
  origin: z.enum(['option', 'directory', 'api']),
  scale: z.number(),
  pinned: z.boolean(),
  format: z.enum(['gguf', 'peft']).nullable(),
  rank: count.nullable(),
  alpha: z.number().nullable(),
  bytes: count.nullable(),
  resident_bytes: count,
  in_flight: count,
  waiting: count,
  draining: z.array(z.strictObject({ generation: count, in_flight: count, bytes: count })),
  created: z.int().nullable(),
  loaded_at: z.int().nullable(),
  load_seconds: z.number().nullable(),
  error: z.string().nullable()
}).register(wireForms, { id: 'Adapter' })

export const adapterListSchema = z.strictObject({ object: z.literal('list'), data: z.array(adapterSchema), resident_bytes: count })

/** llama-server's list, with the names beside it. */
export const adapterScaleListSchema = z.array(z.strictObject({
  id: count, path: z.string(), scale: z.number(), task_name: z.literal(''), prompt_prefix: z.literal(''), name: z.string(), model: z.string()
}))

export const successSchema = z.strictObject({ success: z.literal(true) })
