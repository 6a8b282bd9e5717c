import { z } from 'zod'
import { wireForms } from '../wire-form.ts'

export const modelSchema = z.strictObject({
  id: z.string(),
  object: z.literal('model'),
  created: z.int(),
  owned_by: z.literal('drawbridge'),
  root: z.string(),
  parent: z.string().nullable(),
  max_model_len: z.int().nullable(),
  capabilities: z.array(z.enum(['completion', 'embeddings', 'rerank'])).optional()
}).register(wireForms, { id: 'Model' })

export const modelListSchema = z.strictObject({ object: z.literal('list'), data: z.array(modelSchema) })

/** A model for requests with the header `anthropic-version`. */
export const modelInfoSchema = z.strictObject({
  type: z.literal('model'),
  id: z.string(),
  display_name: z.string(),
  created_at: z.string(),
  max_input_tokens: z.int().nullable(),
  max_tokens: z.int().nullable(),
  capabilities: z.null(),
  lifecycle: z.literal('active'),
  line: z.null(),
  deprecated_at: z.null(),
  retires_at: z.null()
}).register(wireForms, { id: 'ModelInfo' })

export const modelPageSchema = z.strictObject({
  data: z.array(modelInfoSchema), has_more: z.boolean(), first_id: z.string().nullable(), last_id: z.string().nullable()
})
