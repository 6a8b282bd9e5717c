import type { IncomingMessage } from 'node:http'
import { errorFailure, statusFailure, type Failure } from './failure.ts'

/** Bytes of a body that are read for what they say. */
const longestBody = 64 * 1024

/** A response that is not the answer asked for, read for its reason. */
export class Refusal {
  readonly #status: number
  /** Where the server sends us; null where nowhere. */
  readonly #location: string | null
  /** Null for bytes as they are. */
  readonly #encoding: string | null
  readonly #type: string
  readonly #body: Buffer[] = []
  #bodyLength = 0

  private constructor (status: number, location: string | null, encoding: string | null, type: string) {
    this.#status = status
    this.#location = location
    this.#encoding = encoding
    this.#type = type
  }

  /** @returns null for the answer asked for: 2xx, uncompressed, and a stream where one was wanted. */
  static of ({ statusCode: status = 0, headers }: IncomingMessage, url: URL, isStreaming: boolean): Refusal | null {
    const encoding = (headers['content-encoding'] ?? 'identity').trim().toLowerCase()
    const type = (headers['content-type'] ?? '').toLowerCase()
    const isPlain = encoding === 'identity' || encoding === ''
    if (isOk(status) && isPlain && (!isStreaming || type.includes('text/event-stream'))) return null
    const { location } = headers
    const isRedirection = status >= 300 && status < 400 && location !== undefined
    const target = !isRedirection ? null : URL.canParse(location, url.href) ? new URL(location, url).href : location
    return new Refusal(status, target, isPlain ? null : encoding, type)
  }

  push (bytes: Buffer): void {
    if (this.#bodyLength >= longestBody) return
    this.#body.push(bytes)
    this.#bodyLength += bytes.length
  }

  /** In the server's words where it has some. */
  failure (): Failure {
    const status = this.#status
    if (this.#location !== null) {
      return { kind: `http ${status}`, message: `It redirects to ${this.#location}; the benchmark follows no redirection, so give it the URL that this leads to` }
    }
    if (this.#encoding !== null) {
      return { kind: isOk(status) ? 'compressed answer' : `http ${status}`, message: `The answer is compressed (${this.#encoding}), although it was asked for as it is (accept-encoding: identity)` }
    }
    const body = Buffer.concat(this.#body).toString()
    if (!isOk(status)) return statusFailure(status, body)
    const error = errorIn(body)
    if (error !== null) return errorFailure('error in answer', error, body)
    return { kind: 'not a stream', message: `The answer is ${this.#type === '' ? 'without a type' : this.#type}, not text/event-stream` }
  }
}

const isOk = (status: number): boolean => status >= 200 && status < 300

/** What is under `error` in a JSON object; null where there is no such thing. */
function errorIn (body: string): unknown {
  try {
    const value: unknown = JSON.parse(body)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)['error'] ?? null : null
  } catch {
    return null
  }
}
