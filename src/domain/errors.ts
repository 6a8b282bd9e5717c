/** `type` of the error object on the wire, as OpenAI's clients know them. */
export type ErrorType =
  | 'invalid_request_error'
  | 'authentication_error'
  | 'permission_error'
  | 'not_found_error'
  | 'rate_limit_error'
  | 'insufficient_quota'
  | 'server_error'
  | 'service_unavailable_error'

interface CatalogueEntry {
  readonly status: number
  readonly type: ErrorType
  /** Whether the same request may succeed later. Answers with 429 and 503 carry `Retry-After` where it may. */
  readonly isRetryable: boolean
}

/**
 * Every error a client can see, thrown by code and translated to HTTP once. The code is the `code` member of the error
 * object; the message says the value and the limit.
 */
export const errorCatalogue = {
  // The request itself is wrong; sending it again cannot help.
  invalid_json: { status: 400, type: 'invalid_request_error', isRetryable: false },
  invalid_value: { status: 400, type: 'invalid_request_error', isRetryable: false },
  missing_required_parameter: { status: 400, type: 'invalid_request_error', isRetryable: false },
  unknown_parameter: { status: 400, type: 'invalid_request_error', isRetryable: false },
  unsupported_parameter: { status: 400, type: 'invalid_request_error', isRetryable: false },
  unsupported_value: { status: 400, type: 'invalid_request_error', isRetryable: false },
  context_length_exceeded: { status: 400, type: 'invalid_request_error', isRetryable: false },
  // More than a limit of the key, of its owner or of the model lets any one request have.
  request_exceeds_limit: { status: 400, type: 'invalid_request_error', isRetryable: false },
  invalid_grammar: { status: 400, type: 'invalid_request_error', isRetryable: false },
  chat_template_error: { status: 400, type: 'invalid_request_error', isRetryable: false },
  previous_response_not_found: { status: 400, type: 'invalid_request_error', isRetryable: false },
  invalid_adapter: { status: 400, type: 'invalid_request_error', isRetryable: false },
  invalid_api_key: { status: 401, type: 'authentication_error', isRetryable: false },
  permission_denied: { status: 403, type: 'permission_error', isRetryable: false },
  model_not_found: { status: 404, type: 'not_found_error', isRetryable: false },
  file_not_found: { status: 404, type: 'not_found_error', isRetryable: false },
  batch_not_found: { status: 404, type: 'not_found_error', isRetryable: false },
  key_not_found: { status: 404, type: 'not_found_error', isRetryable: false },
  adapter_not_found: { status: 404, type: 'not_found_error', isRetryable: false },
  response_not_found: { status: 404, type: 'not_found_error', isRetryable: false },
  conversation_not_found: { status: 404, type: 'not_found_error', isRetryable: false },
  item_not_found: { status: 404, type: 'not_found_error', isRetryable: false },
  route_not_found: { status: 404, type: 'not_found_error', isRetryable: false },
  method_not_allowed: { status: 405, type: 'invalid_request_error', isRetryable: false },
  // What is there says otherwise: another adapter of that name, another generation, no room.
  adapter_conflict: { status: 409, type: 'invalid_request_error', isRetryable: false },
  adapter_limit: { status: 409, type: 'invalid_request_error', isRetryable: false },
  request_timeout: { status: 408, type: 'invalid_request_error', isRetryable: true },
  body_too_large: { status: 413, type: 'invalid_request_error', isRetryable: false },
  storage_quota_exceeded: { status: 413, type: 'invalid_request_error', isRetryable: false },
  unsupported_media_type: { status: 415, type: 'invalid_request_error', isRetryable: false },
  // A budget is used up; coming back soon does not help.
  insufficient_quota: { status: 429, type: 'insufficient_quota', isRetryable: false },
  // The server is busy or not ready, or the key has had its part; come back.
  rate_limit_exceeded: { status: 429, type: 'rate_limit_error', isRetryable: true },
  queue_full: { status: 429, type: 'rate_limit_error', isRetryable: true },
  queue_timeout: { status: 503, type: 'service_unavailable_error', isRetryable: true },
  model_loading: { status: 503, type: 'service_unavailable_error', isRetryable: true },
  server_draining: { status: 503, type: 'service_unavailable_error', isRetryable: true },
  engine_unavailable: { status: 503, type: 'service_unavailable_error', isRetryable: true },
  storage_unavailable: { status: 503, type: 'service_unavailable_error', isRetryable: true },
  // Something broke under the request.
  engine_crashed: { status: 500, type: 'server_error', isRetryable: true },
  engine_error: { status: 500, type: 'server_error', isRetryable: false },
  generation_timeout: { status: 504, type: 'server_error', isRetryable: false },
  internal_error: { status: 500, type: 'server_error', isRetryable: false },
  // The client has gone; never sent, only logged.
  request_aborted: { status: 499, type: 'invalid_request_error', isRetryable: false }
} as const satisfies Record<string, CatalogueEntry>

export type ErrorCode = keyof typeof errorCatalogue

export interface ServerErrorOptions {
  /** The request field at fault, in the notation of OpenAI's `param` (`messages[0].content`). */
  readonly param?: string | undefined
  readonly cause?: unknown
  /** When to come back; answers that carry `Retry-After` use a default when it is absent. */
  readonly retryAfterMs?: number | undefined
}

/** Plain data of a {@link ServerError}, for the way between processes. */
export interface SerializedServerError {
  readonly code: ErrorCode
  readonly message: string
  readonly param?: string | undefined
  readonly retryAfterMs?: number | undefined
}

/**
 * An error of the catalogue. Throw it with a code and a message that a user can act on; check `error.code`, never the
 * message.
 */
export class ServerError extends Error {
  readonly code: ErrorCode
  readonly param: string | undefined
  readonly retryAfterMs: number | undefined

  constructor (code: ErrorCode, message: string, options: ServerErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'ServerError'
    this.code = code
    this.param = options.param
    this.retryAfterMs = options.retryAfterMs
  }

  get status (): number { return errorCatalogue[this.code].status }
  get type (): ErrorType { return errorCatalogue[this.code].type }
  get isRetryable (): boolean { return errorCatalogue[this.code].isRetryable }

  /** Plain data for the way between processes; the cause stays behind, it belongs in that process's log. */
  serialize (): SerializedServerError {
    return {
      code: this.code,
      message: this.message,
      ...(this.param === undefined ? {} : { param: this.param }),
      ...(this.retryAfterMs === undefined ? {} : { retryAfterMs: this.retryAfterMs })
    }
  }

  static deserialize (data: SerializedServerError): ServerError {
    return new ServerError(data.code, data.message, { param: data.param, retryAfterMs: data.retryAfterMs })
  }

  /** Wraps whatever was thrown; a `ServerError` passes through unchanged. */
  static from (error: unknown, code: ErrorCode = 'internal_error'): ServerError {
    if (error instanceof ServerError) return error
    const message = error instanceof Error ? error.message : String(error)
    return new ServerError(code, message, { cause: error })
  }
}
