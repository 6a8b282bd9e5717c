import { z } from 'zod'
import { usageGroups } from '../../access/usage/usage-report.ts'

const groupPattern = new RegExp(`^(?:${usageGroups.join('|')})(?:,(?:${usageGroups.join('|')}))*$`)

/** Seconds since 1970, a day (`2026-11-26`, which begins at midnight UTC), or a time with its zone; in milliseconds. */
const time = z.string()
  .regex(/^(?:\d{1,11}|\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d))?)$/, 'expected seconds since 1970, a day as 2026-11-26, or a time as 2026-11-26T08:00:00Z')
  .transform((text) => /^\d+$/.test(text) ? Number(text) * 1000 : Date.parse(text))
  .refine((value) => Number.isFinite(value), 'expected a time that there is')

/** Query of a report on usage. */
export const usageQuerySchema = z.strictObject({
  from: time.optional(),
  to: time.optional(),
  group_by: z.string().regex(groupPattern, `expected some of ${usageGroups.join(', ')}, with commas between`).default('day'),
  format: z.enum(['json', 'csv']).optional()
})

export const adminUsageQuerySchema = usageQuerySchema.extend({ owner: z.string().min(1).max(256).optional() })
