import type { ServerError } from '../domain/errors.ts'

export interface ErrorBody {
  readonly error: {
    readonly message: string
    readonly type: string
    readonly param: string | null
    readonly code: string
  }
}

export const toErrorBody = (error: ServerError): ErrorBody => ({
  error: { message: error.message, type: error.type, param: error.param ?? null, code: error.code }
})

const defaultRetryAfterMs = 1000

/** Headers that tell clients whether and when to try again. OpenAI's clients look at all of them. */
export function toErrorHeaders (error: ServerError): Record<string, string> {
  const headers: Record<string, string> = {}
  if (error.isRetryable && (error.status === 429 || error.status === 503)) {
    const retryAfterMs = Math.max(1, Math.round(error.retryAfterMs ?? defaultRetryAfterMs))
    headers['retry-after'] = `${Math.ceil(retryAfterMs / 1000)}`
    headers['retry-after-ms'] = `${retryAfterMs}`
  }
  if ((error.status >= 500 || error.status === 429) && !error.isRetryable) headers['x-should-retry'] = 'false'
  if (error.status === 401) headers['www-authenticate'] = 'Bearer'
  return headers
}
