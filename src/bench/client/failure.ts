/** Why a request did not complete. */
export interface Failure {
  /** Few and fixed, for counting: `http 429 queue_full`, `error in stream engine_crashed`, `stalled`, `connection refused`, … */
  readonly kind: string
  /** In the server's words, or the system's. */
  readonly message: string
}

const connectionKinds: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  EPIPE: 'connection reset',
  ENOTFOUND: 'host not found',
  EAI_AGAIN: 'host not found',
  ETIMEDOUT: 'connection timed out'
}

export function connectionFailure (error: NodeJS.ErrnoException): Failure {
  const code = error.code ?? 'failed'
  // Of several addresses that were tried, Node tells in an error without words of its own.
  return { kind: connectionKinds[code] ?? `connection ${code}`, message: error.message === '' ? code : error.message }
}

/** The failure that a body in OpenAI's shape, `{"error": {"message", "type", "code"}}`, tells of. */
export function errorFailure (prefix: string, error: unknown, fallback: string): Failure {
  const { message, code, type } = typeof error === 'object' && error !== null ? error as Record<string, unknown> : {}
  const name = [code, type].find((value): value is string => typeof value === 'string' && value !== '')
  const text = typeof message === 'string' ? message : typeof error === 'string' ? error : fallback
  return { kind: name === undefined ? prefix : `${prefix} ${shorten(name, 60)}`, message: shorten(text, 300) }
}

/** Of a response whose status is not 2xx, or that is not what was asked for. */
export function statusFailure (status: number, body: string): Failure {
  let error: unknown
  try {
    const value: unknown = JSON.parse(body)
    error = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)['error'] ?? value : undefined
  } catch { /* Not JSON: a proxy's page, say. */ }
  return errorFailure(`http ${status}`, error, body.trim() === '' ? 'The body is empty' : body.trim())
}

export const shorten = (text: string, most: number): string => text.length <= most ? text : `${text.slice(0, most - 1)}…`
