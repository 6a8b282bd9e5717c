import type { FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import type { UsageGroup, UsageSum } from '../../access/usage/usage-report.ts'
import { ServerError } from '../../domain/errors.ts'
import { needs } from '../needs.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import { adminUsageQuerySchema, usageQuerySchema } from '../schemas/usage-query.ts'
import type { HttpServices, Route } from '../services.ts'
import { toCost, toUsageCsv } from '../usage-csv.ts'

/** Without a `from`. */
const defaultSpanMs = 30 * 24 * 60 * 60 * 1000

/** `GET /v1/admin/usage` of everybody, and `GET /v1/usage` of whoever asks. */
export const usageRoute: Route = (app, services) => {
  app.get('/v1/admin/usage', needs('admin'), async (request, reply) => {
    const { owner, ...query } = parseRequest(adminUsageQuerySchema, request.query)
    return await answer(request, reply, services, query, owner)
  })

  app.get('/v1/usage', needs('any'), async (request, reply) =>
    await answer(request, reply, services, parseRequest(usageQuerySchema, request.query), request.requestContext.caller.owner))
}

async function answer (
  request: FastifyRequest, reply: FastifyReply, { config: { prices }, usage }: HttpServices, query: z.output<typeof usageQuerySchema>, owner: string | undefined
) {
  if (usage === null) throw new ServerError('route_not_found', 'This server does not keep what requests use (--usage, --data-dir, --database-url)')
  const { to = Date.now(), from = Math.max(0, to - defaultSpanMs), format } = query
  if (from > to) throw new ServerError('invalid_value', 'Invalid value for \'from\': it is after \'to\'', { param: 'from' })
  const groups = [...new Set(query.group_by.split(','))] as UsageGroup[]
  const report = await usage.reader.report({ from, to, owner }, groups, request.requestContext.cancellation.signal)
  const hasCosts = prices.length > 0

  if (format === 'csv' || (format === undefined && prefersCsv(request.headers.accept))) {
    return reply.type('text/csv; charset=utf-8').header('content-disposition', 'attachment; filename="usage.csv"').send(toUsageCsv(report, groups, hasCosts))
  }
  const toSumObject = ({ requests, promptTokens, cachedTokens, completionTokens, cost }: UsageSum) => ({
    requests,
    prompt_tokens: promptTokens,
    cached_tokens: cachedTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    ...(hasCosts ? { cost: toCost(cost) } : {})
  })
  return {
    object: 'usage',
    from: Math.floor(from / 1000),
    to: Math.ceil(to / 1000),
    group_by: groups,
    data: report.lines.map(({ values, ...sum }) => ({
      ...Object.fromEntries(groups.map((group, index) => [group, values[index] ?? null])), ...toSumObject(sum)
    })),
    total: toSumObject(report.total)
  }
}

const prefersCsv = (accept = ''): boolean => accept.includes('text/csv') && !accept.includes('json')
