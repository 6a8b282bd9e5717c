import type { FastifyInstance } from 'fastify'
import type { BatchUsage } from '../../batches/batch.ts'
import type { LineOutcome, LineRun } from '../../batches/batch-runner.ts'
import { isSuccess } from '../../batches/batch-line.ts'
import { internalHeader, type InternalRequests } from '../internal-requests.ts'

interface AnswerBody {
  readonly usage?: {
    readonly prompt_tokens?: number
    readonly completion_tokens?: number
    readonly prompt_tokens_details?: { readonly cached_tokens?: number } | null
    readonly completion_tokens_details?: { readonly reasoning_tokens?: number } | null
    readonly input_tokens?: number
    readonly output_tokens?: number
    readonly input_tokens_details?: { readonly cached_tokens?: number }
    readonly output_tokens_details?: { readonly reasoning_tokens?: number }
  } | null
  readonly error?: { readonly code?: string } | null
}

/** What an answer says of its tokens, whichever endpoint it is of. */
function usageOf ({ usage }: AnswerBody): BatchUsage {
  return {
    inputTokens: usage?.prompt_tokens ?? usage?.input_tokens ?? 0,
    cachedTokens: usage?.prompt_tokens_details?.cached_tokens ?? usage?.input_tokens_details?.cached_tokens ?? 0,
    outputTokens: usage?.completion_tokens ?? usage?.output_tokens ?? 0,
    reasoningTokens: usage?.completion_tokens_details?.reasoning_tokens ?? usage?.output_tokens_details?.reasoning_tokens ?? 0
  }
}

/**
 * Runs the request of a line as if its owner had sent it, through the routes of the app, so that checks, errors, limits and the ledger are those
 * of any other request.
 */
export const createLineRunner = (app: FastifyInstance, internalRequests: InternalRequests) =>
  async ({ endpoint, body, requestId, caller, signal }: LineRun): Promise<LineOutcome> => {
    const credential = internalRequests.expect({ caller, signal })
    try {
      const response = await app.inject({
        method: 'POST', url: endpoint, payload: body, headers: { 'content-type': 'application/json', 'x-request-id': requestId, [internalHeader]: credential }
      })
      const answer = response.json<AnswerBody>()
      const retryAfterMs = Number(response.headers['retry-after-ms'])
      return {
        statusCode: response.statusCode,
        response: response.body,
        errorCode: isSuccess(response.statusCode) ? null : answer.error?.code ?? null,
        retryAfterMs: Number.isFinite(retryAfterMs) ? retryAfterMs : null,
        usage: usageOf(answer)
      }
    } finally {
      internalRequests.withdraw(credential)
    }
  }
