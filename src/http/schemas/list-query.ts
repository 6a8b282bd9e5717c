import { z } from 'zod'

export const number = (most: number) => z.string().regex(/^\d{1,9}$/, 'expected a number').transform(Number).pipe(z.int().min(1).max(most))

/** One value of a query, or several of the same name. */
const texts = z.union([z.string(), z.array(z.string())]).optional()

/** Query members that ask for more than an object has by itself; here everything is told anyway. */
export const includeQueryMembers = { include: texts, 'include[]': texts }

/** Query of a list that is read page by page. */
export const listQuerySchema = z.strictObject({
  limit: number(100).default(20),
  order: z.enum(['asc', 'desc']).default('desc'),
  /** The id of the item before the page. */
  after: z.string().min(1).max(256).optional(),
  ...includeQueryMembers
})

export type ListQuery = z.output<typeof listQuerySchema>
