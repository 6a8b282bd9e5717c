import { usageReportSchema } from '../../schemas/answers/usage-report.ts'
import { adminUsageQuerySchema, usageQuerySchema } from '../../schemas/usage-query.ts'
import { accessErrors, keyErrors, queryErrors } from '../error-codes.ts'
import type { Operation } from '../operation.ts'

const tag = 'Usage'
const description = 'Needs a server with a database. `format=csv`, or `Accept: text/csv`, asks for CSV.'
const answers = { 200: { description: 'Sums by group, and of all', json: usageReportSchema, text: 'text/csv' } }
/** The last two where there is no database, or too many lines. */
const errors = [...queryErrors, 'route_not_found', 'internal_error'] as const

export const usageOperations: readonly Operation[] = [
  {
    id: 'retrieveUsage',
    method: 'get',
    paths: ['/v1/usage'],
    tag,
    summary: 'What the owner of the key has used',
    description,
    query: usageQuerySchema,
    answers,
    errors: [...keyErrors, ...errors]
  },
  {
    id: 'retrieveEverybodysUsage',
    method: 'get',
    paths: ['/v1/admin/usage'],
    tag,
    summary: 'What everybody has used',
    description,
    query: adminUsageQuerySchema,
    answers,
    errors: [...accessErrors, ...errors]
  }
]
