import { z } from 'zod'

const nameSchema = z.string().min(1).max(256)
const sourceSchema = z.string().min(1).max(4096)
const modelSchema = z.string().min(1).max(1024).optional()
const generationSchema = z.int().min(0).optional()
const scaleSchema = z.number().min(-100).max(100)

/** vLLM's, with what mistral.rs and SGLang have beside it. An empty or missing name or path is told in vLLM's words. */
export const loadLoraAdapterSchema = z.strictObject({
  lora_name: z.string().max(256).default(''),
  lora_path: z.string().max(4096).default(''),
  load_inplace: z.boolean().default(false),
  model: modelSchema,
  scale: scaleSchema.optional(),
  pinned: z.boolean().optional(),
  expected_generation: generationSchema
})

export const unloadLoraAdapterSchema = z.strictObject({
  lora_name: z.string().max(256).default(''),
  /** vLLM ignores it too: the name is enough. */
  lora_int_id: z.int().optional(),
  model: modelSchema,
  expected_generation: generationSchema
})

export const loadAdapterSchema = z.strictObject({
  name: nameSchema,
  /** A path in the adapter folder, `https:` or `hf:`. */
  source: sourceSchema,
  model: modelSchema,
  scale: scaleSchema.optional(),
  pinned: z.boolean().optional(),
  /** Whether an adapter of that name is replaced. */
  replace: z.boolean().default(false),
  expected_generation: generationSchema
})

const queryNumber = z.string().regex(/^\d{1,15}$/, 'expected a number').transform(Number)

export const adapterQuerySchema = z.strictObject({
  model: modelSchema,
  expected_generation: queryNumber.optional()
})

/** llama-server's. */
export const adapterScalesSchema = z.strictObject({
  scales: z.array(z.strictObject({ id: z.int().min(0), scale: scaleSchema })).max(100_000)
})
