import { STATUS_CODES } from 'node:http'
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import fastifyPlugin from 'fastify-plugin'
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import type { ErrorCode } from '../../domain/errors.ts'
import type { HttpServices } from '../services.ts'
import { ServerError } from '../../domain/errors.ts'
import { toErrorBody, toErrorHeaders } from '../error-response.ts'
import { isFromAnthropicClient, toAnthropicError } from '../messages/anthropic-error.ts'
import { createRequestId } from './request-id.ts'

const jsonAdvice = 'Send JSON with the header content-type: application/json'

/** Translates what Fastify throws before a handler runs. */
function fromFastify (error: FastifyError, bodyLimit: number): ServerError {
  switch (error.code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return new ServerError('body_too_large', `The request body is larger than the limit of ${bodyLimit} bytes`)
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return new ServerError('unsupported_media_type', `${error.message}. ${jsonAdvice}.`)
    case 'FST_ERR_CTP_EMPTY_JSON_BODY':
      return new ServerError('invalid_json', 'The request body is empty, but its content type is JSON')
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return new ServerError('invalid_value', 'The request body is not as long as its content-length header says')
    case 'FST_ERR_BAD_URL':
      return new ServerError('invalid_value', 'The path is not valid')
  }
  if (error.statusCode !== undefined && error.statusCode < 500) {
    return new ServerError('invalid_value', error.message, { cause: error })
  }
  return new ServerError('internal_error', 'The server had an error while processing the request; its log has the details under the request id', { cause: error })
}

/** The error that a client is told; whatever was thrown becomes one of the catalogue. */
export const toClientError = (error: unknown, bodyLimit: number): ServerError =>
  error instanceof ServerError ? error : fromFastify(error as FastifyError, bodyLimit)

/** Notes the error in the exchange's context; what is the server's fault goes to the log with its cause. */
export function noteError (request: FastifyRequest, error: ServerError): void {
  request.requestContext.error ??= error
  if (error.status >= 500 && !error.isRetryable) {
    const traceId = request.requestContext.trace?.traceId
    request.log.error({ requestId: request.id, ...(traceId === undefined ? {} : { traceId }), code: error.code, err: error.cause ?? error }, 'request failed')
  }
}

export function sendError (request: FastifyRequest, reply: FastifyReply, error: ServerError): FastifyReply {
  noteError(request, error)
  const { status, body } = isFromAnthropicClient(request) ? toAnthropicError(error, request.id) : { status: error.status, body: toErrorBody(error) }
  return reply.code(status).headers(toErrorHeaders(error)).type('application/json; charset=utf-8').send(body)
}

/** One translation of errors to HTTP for all routes. */
export const errorsPlugin = fastifyPlugin<HttpServices>(async (app, { config }) => {
  app.setErrorHandler(async (thrown, request, reply) => {
    return await sendError(request, reply, toClientError(thrown, config.bodyLimit))
  })

  app.setNotFoundHandler(async (request, reply) => {
    const path = request.url.split('?', 1)[0] ?? '/'
    const canonical = path.replace(/^(\/v1)*\/*/, '/v1/')
    const hint = canonical !== path && app.hasRoute({ method: request.method, url: canonical })
      ? `did you mean ${canonical}? Clients want the base URL to end in /v1, once.`
      : 'the API is under /v1, for example /v1/chat/completions.'
    return await sendError(request, reply, new ServerError('route_not_found', `There is no ${request.method} ${path}; ${hint}`))
  })
}, { name: 'errors' })

/** Node keeps the answer under way at its socket, and looks there itself when it has no such handler. */
type HttpSocket = Socket & { readonly _httpMessage?: ServerResponse | null }

/**
 * Answers what is not even HTTP, or too slow or too large in its headers. What follows an answer that has begun would be
 * read as a part of it, so then the connection just ends.
 */
export function answerMalformedHttp (error: NodeJS.ErrnoException, socket: HttpSocket): void {
  const underWay = socket._httpMessage ?? null
  if (error.code === 'ECONNRESET' || !socket.writable || underWay?.headersSent === true) {
    socket.destroy()
    return
  }
  const problems: Record<string, [ErrorCode, string]> = {
    ERR_HTTP_REQUEST_TIMEOUT: ['request_timeout', 'The request was not sent in time'],
    HPE_HEADER_OVERFLOW: ['invalid_value', 'The request headers are too large']
  }
  const [code, message] = problems[error.code ?? ''] ?? ['invalid_value', 'This is not a valid HTTP request']
  const { status } = new ServerError(code, message)
  const body = JSON.stringify(toErrorBody(new ServerError(code, message)))
  socket.end([
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`,
    'connection: close',
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${createRequestId()}`,
    '',
    body
  ].join('\r\n'))
  // Nothing else will be answered here: whatever an earlier request set going ends now, not when the client hangs up.
  if (underWay !== null) socket.destroySoon()
}
