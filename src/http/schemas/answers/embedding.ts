import { z } from 'zod'
import { promptUsageSchema } from './usage.ts'

export const embeddingListSchema = z.strictObject({
  object: z.literal('list'),
  // A text is the base64 of 32-bit floats, little-endian.
  data: z.array(z.strictObject({ object: z.literal('embedding'), index: z.int(), embedding: z.union([z.array(z.number()), z.string()]) })),
  model: z.string(),
  usage: promptUsageSchema
})

export const rankingSchema = z.strictObject({
  id: z.string(),
  object: z.literal('list'),
  model: z.string(),
  results: z.array(z.strictObject({ index: z.int(), relevance_score: z.number(), document: z.strictObject({ text: z.string() }).optional() })),
  usage: promptUsageSchema
})
