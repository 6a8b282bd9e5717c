import { z } from 'zod'
import { wireForms, withKeywords } from './wire-form.ts'

const adapterChoiceSchema = z.strictObject({
  name: z.string().min(1).max(1024).optional(),
  /** As `GET /lora-adapters` numbers them. */
  id: z.int().min(0).optional(),
  scale: z.number().min(-100).max(100).optional()
}).refine(({ name, id }) => (name === undefined) !== (id === undefined), 'expected either "name" or "id"')
  .register(wireForms, { form: withKeywords({ oneOf: [{ required: ['name'] }, { required: ['id'] }] }) })

/** Member of a request that names adapters beside that of `model`; the same for both completion endpoints. */
export const loraMembers = {
  lora: z.array(adapterChoiceSchema).max(16).default([])
}
