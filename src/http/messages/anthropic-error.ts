import type { Anthropic } from '@anthropic-ai/sdk'
import type { FastifyRequest } from 'fastify'
import type { ServerError } from '../../domain/errors.ts'

/** Whether a request is answered in Anthropic's shapes where there are two: by its path, or by a header that all its clients send. */
export const isFromAnthropicClient = ({ url, headers }: Pick<FastifyRequest, 'url' | 'headers'>): boolean =>
  /^\/v1\/messages(?:[/?]|$)/.test(url) || headers['anthropic-version'] !== undefined

/** Anthropic's status for "come back later"; its clients try again as they do after a 503. */
const overloadedStatus = 529

/** The client's types leave one out that the documentation has. */
type ErrorType = Anthropic.ErrorObject['type'] | 'request_too_large'

export interface AnthropicErrorBody extends Omit<Anthropic.ErrorResponse, 'error'> {
  readonly error: { readonly type: ErrorType, readonly message: string, readonly details?: Anthropic.ThreadUnsupportedRequestErrorDetails }
}

/** An error in Anthropic's shape. It has no member that names the field at fault, so the message begins with it. */
export function toAnthropicError (error: ServerError, requestId: string): { readonly status: number, readonly body: AnthropicErrorBody } {
  return {
    status: error.status === 503 ? overloadedStatus : error.status,
    body: { type: 'error', error: { type: typeOf(error), message: messageOf(error), ...detailsOf(error) }, request_id: requestId }
  }
}

function typeOf ({ status }: ServerError): ErrorType {
  switch (status) {
    case 401: return 'authentication_error'
    case 403: return 'permission_error'
    case 404: return 'not_found_error'
    case 413: return 'request_too_large'
    case 429: return 'rate_limit_error'
    case 503: return 'overloaded_error'
    case 504: return 'timeout_error'
    default: return status >= 500 ? 'api_error' : 'invalid_request_error'
  }
}

function messageOf ({ code, message, param }: ServerError): string {
  // Clients that shorten conversations look for these words.
  if (code === 'context_length_exceeded') return `messages: prompt is too long. ${message}`
  return param === undefined || message.includes(param) ? message : `${param}: ${message}`
}

/** By these, clients whose tool loop would have the server keep the conversation know that they have to send all of it. */
const detailsOf = ({ code, param }: ServerError): Pick<AnthropicErrorBody['error'], 'details'> =>
  code === 'unsupported_parameter' && param === 'thread' ? { details: { error_code: 'thread_unsupported_request', unsupported: [] } } : {}
