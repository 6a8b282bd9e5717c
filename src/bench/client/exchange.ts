import http from 'node:http'
import https from 'node:https'
import type { Millis } from '../../domain/ids.ts'
import { AnswerReader } from './answer-reader.ts'
import { connectionFailure, shorten, type Failure } from './failure.ts'
import { Refusal } from './refusal.ts'

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
  /** When its last byte came, of a stream `[DONE]`; of a failure, when it was found. */
  readonly endedAt: Millis
  /** When each chunk with output of the first choice came; empty for answers that are not streamed. */
  readonly outputTimes: readonly Millis[]
  /** Of the first choice. */
  readonly text: string
  readonly choiceCount: number
  readonly inputTokens: number | null
  readonly outputTokens: number | null
  readonly cachedTokens: number
  readonly failure: Failure | null
}

export interface ExchangeLimits {
  /** For the whole answer. */
  readonly timeoutMs: Millis
  /** Of a stream, without a byte; where nothing is streamed, nothing stalls. */
  readonly stallTimeoutMs: Millis
}

/** A kept connection that the server had closed breaks at once; later it is the server's doing. */
const staleWithinMs = 50
/** How long after `[DONE]` the end of the response is waited for, so that the connection can be used again. */
const endGraceMs = 100

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
   * @throws the signal's reason when it fired, and what Node says of headers that cannot be sent.
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
        choiceCount: reader.choiceCount,
        inputTokens: reader.inputTokens,
        outputTokens: reader.outputTokens,
        cachedTokens: reader.cachedTokens,
        // What was read came first, and may be why the rest went wrong.
        failure: reader.failure ?? end.failure
      }
    }
  }

  [Symbol.dispose] (): void { this.#agent.destroy() }

  async #attempt (call: Call, limits: ExchangeLimits, clock: () => Millis, signal: AbortSignal): Promise<AttemptEnd> {
    signal.throwIfAborted()
    const reader = new AnswerReader(call.isStreaming)
    // As bytes: with a text, Node would write the headers in its encoding, not in theirs.
    const body = Buffer.from(call.body)
    // Before any timer is set, because it may throw.
    const request = this.#request(call.url, {
      method: 'POST',
      agent: this.#agent,
      headers: { 'accept-encoding': 'identity', ...call.headers, 'content-length': body.length }
    })
    request.end(body)
    // What it takes to make a request, a third of a millisecond, is not the server's. Opening a connection still is.
    const sentAt = clock()
    return await new Promise<AttemptEnd>((resolve, reject) => {
      let isOver = false
      let hasResponse = false
      let lastByteAt: Millis | null = null
      let grace: NodeJS.Timeout | undefined
      const stop = (): void => {
        isOver = true
        for (const timer of [timeout, stall, grace]) clearTimeout(timer)
        signal.removeEventListener('abort', onAbort)
      }
      const finish = (failure: Failure | null, isStaleConnection = false): void => {
        if (isOver) return
        stop()
        // Whatever happens to the connection after that, the answer is whole.
        const isWhole = failure === null || reader.isDone
        resolve({ reader, sentAt, at: (isWhole ? lastByteAt : null) ?? clock(), failure: isWhole ? null : failure, isStaleConnection })
      }
      const fail = (failure: Failure): void => {
        finish(failure)
        request.destroy()
      }
      const onAbort = (): void => {
        stop()
        request.destroy()
        reject(signal.reason instanceof Error ? signal.reason : new Error('The run was ended'))
      }
      signal.addEventListener('abort', onAbort, { once: true })
      const timeout = setTimeout(() => fail({ kind: 'timeout', message: `No end after ${limits.timeoutMs} ms` }), limits.timeoutMs)
      const stall = call.isStreaming
        ? setTimeout(() => fail({ kind: 'stalled', message: `Nothing came for ${limits.stallTimeoutMs} ms` }), limits.stallTimeoutMs)
        : undefined

      request.on('error', (error: NodeJS.ErrnoException) => {
        const wasStale = request.reusedSocket && !hasResponse && error.code !== 'ECONNREFUSED' && clock() - sentAt < staleWithinMs
        finish(connectionFailure(error), wasStale)
      })
      request.on('response', (response) => {
        hasResponse = true
        const refusal = Refusal.of(response, call.url, call.isStreaming)
        const readAt = momentOfRead(clock)
        response.on('data', (bytes: Buffer) => {
          if (isOver || reader.isDone) return
          const now = readAt()
          stall?.refresh()
          if (refusal !== null) return refusal.push(bytes)
          lastByteAt = now
          try {
            reader.push(bytes, now)
          } catch (error) {
            return fail(unreadable(error))
          }
          if (!reader.isDone) return
          grace = setTimeout(() => {
            finish(null)
            request.destroy()
          }, endGraceMs)
        })
        response.on('end', () => {
          if (isOver) return
          if (refusal !== null) return finish(refusal.failure())
          try {
            reader.end()
          } catch (error) {
            return finish(unreadable(error))
          }
          finish(null)
        })
        // Without 'end': the connection broke.
        response.on('error', (error: NodeJS.ErrnoException) => finish(connectionFailure(error)))
      })
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

/** The same moment for all that one read of the socket brought: reading the first chunk shall not make the second one late. */
function momentOfRead (clock: () => Millis): () => Millis {
  let moment: Millis | null = null
  const forget = (): void => { moment = null }
  return () => {
    if (moment !== null) return moment
    // Runs when all chunks of the read were handed over.
    process.nextTick(forget)
    moment = clock()
    return moment
  }
}

/** Bytes so odd that reading them throws end their request, not the run. */
const unreadable = (error: unknown): Failure =>
  ({ kind: 'invalid answer', message: shorten(error instanceof Error ? error.message : String(error), 300) })
