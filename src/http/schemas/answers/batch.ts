import { z } from 'zod'
import { batchEndings, batchEndpoints, openStatuses } from '../../../batches/batch.ts'
import { metadataSchema } from '../parameter-policy.ts'
import { wireForms } from '../wire-form.ts'

const count = z.int().min(0)

/** Seconds since 1970. */
const time = z.int().min(0)

export const batchSchema = z.strictObject({
  id: z.string(),
  object: z.literal('batch'),
  endpoint: z.enum(batchEndpoints),
  model: z.string().nullable(),
  errors: z.strictObject({
    object: z.literal('list'),
    data: z.array(z.strictObject({ code: z.string(), message: z.string(), param: z.string().nullable(), line: z.int().nullable() }))
  }).nullable(),
  input_file_id: z.string(),
  completion_window: z.literal('24h'),
  status: z.enum([...openStatuses, ...batchEndings]),
  output_file_id: z.string().nullable(),
  error_file_id: z.string().nullable(),
  created_at: time,
  in_progress_at: time.nullable(),
  expires_at: time,
  finalizing_at: time.nullable(),
  completed_at: time.nullable(),
  failed_at: time.nullable(),
  expired_at: time.nullable(),
  cancelling_at: time.nullable(),
  cancelled_at: time.nullable(),
  request_counts: z.strictObject({ total: count, completed: count, failed: count }),
  usage: z.strictObject({
    input_tokens: count,
    input_tokens_details: z.strictObject({ cached_tokens: count }),
    output_tokens: count,
    output_tokens_details: z.strictObject({ reasoning_tokens: count }),
    total_tokens: count
  }),
  metadata: metadataSchema.nullable()
}).register(wireForms, { id: 'Batch' })

export const batchListSchema = z.strictObject({
  object: z.literal('list'), data: z.array(batchSchema), first_id: z.string().nullable(), last_id: z.string().nullable(), has_more: z.boolean()
})
