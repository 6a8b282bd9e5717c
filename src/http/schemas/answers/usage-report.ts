import { z } from 'zod'
import { wireForms } from '../wire-form.ts'

const count = z.int().min(0)

/** What requests have used together. */
const sum = {
  requests: count,
  prompt_tokens: count,
  cached_tokens: count,
  completion_tokens: count,
  total_tokens: count,
  /** Where the server has a price list; null where it has no price for a model. */
  cost: z.number().min(0).nullable().optional()
}

const group = z.string().nullable().optional()

export const usageReportSchema = z.strictObject({
  object: z.literal('usage'),
  /** Seconds since 1970. */
  from: count,
  to: count,
  group_by: z.array(z.string()),
  data: z.array(z.strictObject({
    owner: group, tenant: group, key: group, model: group, adapter: group, endpoint: group, outcome: group, day: group, month: group, ...sum
  })),
  total: z.strictObject(sum)
}).register(wireForms, { id: 'UsageReport' })
