import http from 'node:http'
import https from 'node:https'
import type { Millis } from '../../domain/ids.ts'
import { AnswerReader } from './answer-reader.ts'
import { connectionFailure, statusFailure, type Failure } from './failure.ts'

/** One POST whose answer is timed. */
export interface Call {
  readonly url: URL
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  readonly isStreaming: boolean
}

/** What came of a call. Moments are of the clock that was given. */
export interface Answer {
  readonly sentAt: Millis
  readonly endedAt: Millis
  /** When each chunk with output came; empty for answers that are not streamed. */
  readonly outputTimes: readonly Millis[]
  readonly text: string
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  readonly cachedTokens: number
  readonly failure: Failure | null
}

export interface ExchangeLimits {
  /** For the whole answer. */
  readonly timeoutMs: Millis
  /** Without a byte. */
  readonly stallTimeoutMs: Millis
}

/** A kept connection that the server had closed breaks at once; later it is the server's doing. */
const staleWithinMs = 50
/** Errors of responses are read up to here. */
const longestErrorBody = 64 * 1024

/** Connections to one server, kept for the next request. */
export class Connections implements Disposable {
  readonly #agent: http.Agent
  readonly #request: typeof http.request

  constructor (url: URL) {
    const library = url.protocol === 'https:' ? https : http
    this.#agent = new library.Agent({ keepAlive: true, maxSockets: Infinity, maxFreeSockets: Infinity, scheduling: 'lifo' })
    this.#request = library.request
  }

  /**
   * Sends a call and reads its answer; failures are part of the answer. Times are taken in the handlers of the socket's data,
   * before anything is parsed.
   *
   * @throws the signal's reason when it fired.
   */
  async exchange (call: Call, limits: ExchangeLimits, clock: () => Millis, signal: AbortSignal): Promise<Answer> {
    let sentAt: Millis | null = null
    for (let attempt = 1; ; attempt++) {
      const end = await this.#attempt(call, limits, clock, signal)
      sentAt ??= end.sentAt
      // The server may close a kept connection just when it is used again; that is nobody's failure.
      if (end.isStaleConnection && attempt === 1) continue
      const { reader } = end
      return {
        sentAt,
        endedAt: end.at,
        outputTimes: reader.outputTimes,
        text: reader.text,
        inputTokens: reader.inputTokens,
        outputTokens: reader.outputTokens,
        cachedTokens: reader.cachedTokens,
        failure: end.failure ?? reader.failure
      }
    }
  }

  [Symbol.dispose] (): void { this.#agent.destroy() }

  async #attempt (call: Call, limits: ExchangeLimits, clock: () => Millis, signal: AbortSignal): Promise<AttemptEnd> {
    signal.throwIfAborted()
    const reader = new AnswerReader(call.isStreaming)
    return await new Promise<AttemptEnd>((resolve, reject) => {
      let isOver = false
      let hasResponse = false
      const finish = (failure: Failure | null, isStaleConnection = false): void => {
        if (isOver) return
        isOver = true
        clearTimeout(timeout)
        clearTimeout(stall)
        signal.removeEventListener('abort', onAbort)
        resolve({ reader, sentAt, at: clock(), failure, isStaleConnection })
      }
      const fail = (failure: Failure): void => {
        finish(failure)
        request.destroy()
      }
      const onAbort = (): void => {
        isOver = true
        clearTimeout(timeout)
        clearTimeout(stall)
        request.destroy()
        reject(signal.reason instanceof Error ? signal.reason : new Error('The run was ended'))
      }
      signal.addEventListener('abort', onAbort, { once: true })
      const timeout = setTimeout(() => fail({ kind: 'timeout', message: `No end after ${limits.timeoutMs} ms` }), limits.timeoutMs)
      const stall = setTimeout(() => fail({ kind: 'stalled', message: `Nothing came for ${limits.stallTimeoutMs} ms` }), limits.stallTimeoutMs)

      const request = this.#request(call.url, {
        method: 'POST',
        agent: this.#agent,
        headers: { ...call.headers, 'content-length': Buffer.byteLength(call.body) }
      })
      request.on('error', (error: NodeJS.ErrnoException) => {
        const wasStale = request.reusedSocket && !hasResponse && error.code !== 'ECONNREFUSED' && clock() - sentAt < staleWithinMs
        finish(connectionFailure(error), wasStale)
      })
      request.on('response', (response) => {
        hasResponse = true
        const refusal = refusalReader(response, call.isStreaming)
        response.on('data', (bytes: Buffer) => {
          const now = clock()
          stall.refresh()
          if (refusal === null) reader.push(bytes, now)
          else refusal.push(bytes)
        })
        response.on('end', () => {
          if (refusal !== null) return finish(refusal.failure())
          reader.end()
          finish(null)
        })
        // Without 'end': the connection broke.
        response.on('error', (error: NodeJS.ErrnoException) => finish(connectionFailure(error)))
      })
      request.end(call.body)
      // What it takes to make a request, a third of a millisecond, is not the server's. Opening a connection still is.
      const sentAt = clock()
    })
  }
}

interface AttemptEnd {
  readonly reader: AnswerReader
  readonly sentAt: Millis
  readonly at: Millis
  readonly failure: Failure | null
  readonly isStaleConnection: boolean
}

/** Reads a response that is not the answer asked for; null when it is. */
function refusalReader (response: http.IncomingMessage, isStreaming: boolean): { push: (bytes: Buffer) => void, failure: () => Failure } | null {
  const status = response.statusCode ?? 0
  const type = (response.headers['content-type'] ?? '').toLowerCase()
  const isOk = status >= 200 && status < 300
  if (isOk && (!isStreaming || type.includes('text/event-stream'))) return null
  let body = ''
  return {
    push: (bytes) => { if (body.length < longestErrorBody) body += bytes.toString() },
    failure: () => isOk
      ? { kind: 'not a stream', message: `The answer is ${type === '' ? 'without a type' : type}, not text/event-stream` }
      : statusFailure(status, body)
  }
}
