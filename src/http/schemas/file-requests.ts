import { z } from 'zod'
import { filePurposes } from '../../batches/files/stored-file.ts'
import { number } from './list-query.ts'
import { wireForms } from './wire-form.ts'

/** When something goes that would stay longer, or shorter, otherwise. */
export const expirySchema = z.strictObject({
  anchor: z.literal('created_at'),
  /** An hour to thirty days. */
  seconds: z.int().min(3600).max(2_592_000)
})

/** The fields of a form; the file stands here for its name. */
export const createFileSchema = z.strictObject({
  file: z.string().register(wireForms, { form: () => ({ type: 'string', contentMediaType: 'application/octet-stream' }) }),
  purpose: z.literal('batch'),
  expires_after: expirySchema.optional()
})

export const fileQuerySchema = z.strictObject({
  limit: number(10_000).default(10_000),
  order: z.enum(['asc', 'desc']).default('desc'),
  /** The id of the file before the page. */
  after: z.string().min(1).max(256).optional(),
  purpose: z.enum(filePurposes).optional()
})
