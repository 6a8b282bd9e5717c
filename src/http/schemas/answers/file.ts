import { z } from 'zod'
import { filePurposes } from '../../../batches/files/stored-file.ts'
import { wireForms } from '../wire-form.ts'

/** Seconds since 1970. */
const time = z.int().min(0)

export const fileSchema = z.strictObject({
  id: z.string(),
  object: z.literal('file'),
  bytes: z.int().min(0),
  created_at: time,
  expires_at: time.nullable(),
  filename: z.string(),
  purpose: z.enum(filePurposes),
  status: z.literal('processed'),
  status_details: z.null()
}).register(wireForms, { id: 'File' })

export const fileListSchema = z.strictObject({
  object: z.literal('list'), data: z.array(fileSchema), first_id: z.string().nullable(), last_id: z.string().nullable(), has_more: z.boolean()
})

export const deletedFileSchema = z.strictObject({ id: z.string(), object: z.literal('file'), deleted: z.literal(true) })
