import type { Anthropic } from '@anthropic-ai/sdk'
import { z } from 'zod'
import { ServerError } from '../../domain/errors.ts'
import type { ModelCard } from '../../models/catalogue.ts'
import { parseRequest } from '../schemas/parse-request.ts'

/** A model or an adapter in Anthropic's shape. */
export const toModelInfo = ({ id, createdAt, contextSize }: ModelCard) => ({
  type: 'model',
  id,
  display_name: id,
  created_at: new Date(createdAt * 1000).toISOString(),
  max_input_tokens: contextSize,
  max_tokens: contextSize,
  // What a model can do is up to its chat template, not known in these terms.
  capabilities: null,
  lifecycle: 'active',
  line: null,
  deprecated_at: null,
  retires_at: null
}) satisfies Anthropic.ModelInfo

/** Query of Anthropic's `GET /v1/models`. There is one page unless a client asks for a shorter one. */
export const modelPageQuerySchema = z.strictObject({
  limit: z.string().regex(/^\d{1,4}$/, 'expected a number').transform(Number).pipe(z.int().min(1).max(1000)).optional(),
  after_id: z.string().min(1).max(1024).optional(),
  before_id: z.string().min(1).max(1024).optional(),
  /** Of clients that ask for the beta of this API, which is the same. */
  beta: z.literal('true').optional()
})

/**
 * A page of models.
 * @throws ServerError `invalid_value`, also for an id that is not there (any more); `unknown_parameter`
 */
export function toModelPage (cards: readonly ModelCard[], query: unknown) {
  const { limit = cards.length, after_id: after, before_id: before } = parseRequest(modelPageQuerySchema, query)
  const start = after === undefined ? 0 : indexOf(cards, 'after_id', after) + 1
  const end = before === undefined ? cards.length : indexOf(cards, 'before_id', before)
  const between = cards.slice(start, end)
  const isBackwards = before !== undefined && after === undefined
  const page = isBackwards ? between.slice(Math.max(0, between.length - limit)) : between.slice(0, limit)
  return {
    data: page.map(toModelInfo),
    has_more: page.length < between.length,
    first_id: page.at(0)?.id ?? null,
    last_id: page.at(-1)?.id ?? null
  }
}

function indexOf (cards: readonly ModelCard[], param: string, wanted: string): number {
  const index = cards.findIndex(({ id }) => id === wanted)
  if (index === -1) throw new ServerError('invalid_value', `Invalid value for '${param}': there is no model called ${JSON.stringify(wanted)}`, { param })
  return index
}
