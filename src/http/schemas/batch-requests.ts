import { z } from 'zod'
import { batchEndpoints } from '../../batches/batch.ts'
import { expirySchema } from './file-requests.ts'
import { number } from './list-query.ts'
import { metadataSchema } from './parameter-policy.ts'

export const createBatchSchema = z.strictObject({
  input_file_id: z.string().min(1).max(256),
  endpoint: z.enum(batchEndpoints),
  completion_window: z.literal('24h'),
  metadata: metadataSchema.optional(),
  output_expires_after: expirySchema.optional()
})

export const batchQuerySchema = z.strictObject({
  limit: number(100).default(20),
  /** The id of the batch before the page. */
  after: z.string().min(1).max(256).optional()
})
