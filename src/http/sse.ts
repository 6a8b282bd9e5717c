import type { OutgoingHttpHeaders } from 'node:http'
import type { FastifyReply } from 'fastify'
import type { ServerError } from '../domain/errors.ts'
import { toErrorBody } from './error-response.ts'

export interface SseStreamOptions {
  /** Something goes out after this long without an event. */
  readonly keepAliveMs: number
  /** What goes out then; a comment unless said otherwise. */
  readonly keepAlive?: string | undefined
  /** Most bytes that wait for the reader, beside the largest events. */
  readonly maxBufferedBytes: number
  /** The reader was too slow; the connection is closed. */
  readonly onOverflow: () => void
}

/** One server-sent event with JSON as its data. */
export const toSseEvent = (json: string): string => `data: ${json}\n\n`

/** How an API's streams end. */
export interface StreamEnds {
  /** The last events of a complete answer. */
  readonly end: () => string
  /** The last event of one that failed; no client may take what it ends for complete. */
  readonly fail: (error: ServerError) => string
  /** What goes out while there is nothing to say; a comment unless said otherwise. */
  readonly keepAlive?: string
}

/** OpenAI's completions end with `[DONE]`; a failed one has its error's body instead. */
export const openAiStream: StreamEnds = {
  end: () => toSseEvent('[DONE]'),
  fail: (error) => toSseEvent(JSON.stringify(toErrorBody(error)))
}

/**
 * How often the largest event may wait beside all others. What a response adds up to is told up to four times at its end, by events
 * that follow each other at once: however large it is, that does not make the reader slow.
 */
const largestAtOnce = 4

/** More than this does not wait for the end of the turn. */
const flushAtLength = 64 * 1024

const keepAliveComment = ': keep-alive\n\n'

/**
 * A stream of server-sent events as clients of the completion APIs read it.
 *
 * The status line goes out with the first event or the first keep-alive, so that an error before that still has its true
 * status. Events of one turn of the event loop leave in one write. Nothing here waits for the reader: what it does not
 * take is buffered up to a bound, and beyond that it is cut off.
 */
export class SseStream {
  readonly #reply: FastifyReply
  readonly #options: SseStreamOptions
  readonly #keepAlive: NodeJS.Timeout
  #pending = ''
  #largestBytes = 0
  #isFlushScheduled = false
  #isOpen = false
  #isEnded = false

  constructor (reply: FastifyReply, options: SseStreamOptions) {
    this.#reply = reply
    this.#options = options
    this.#keepAlive = setTimeout(() => {
      this.send(options.keepAlive ?? keepAliveComment)
      this.#keepAlive.refresh()
    }, options.keepAliveMs)
  }

  /** Whether the status line is out, so that an error can only be told as an event. */
  get isOpen (): boolean { return this.#isOpen }

  /** Takes whole events, as {@link toSseEvent} makes them. */
  send (events: string): void {
    if (this.#isEnded) return
    this.#pending += events
    // Smaller ones make no difference to any bound.
    if (events.length > flushAtLength) this.#largestBytes = Math.max(this.#largestBytes, Buffer.byteLength(events))
    if (this.#pending.length > flushAtLength) {
      this.#flush()
    } else if (!this.#isFlushScheduled) {
      this.#isFlushScheduled = true
      setImmediate(this.#flushScheduled)
    }
  }

  /** Ends the stream after the given events. */
  end (events: string): void {
    if (this.#isEnded) return
    const text = this.#pending + events
    this.abandon()
    this.#open()
    this.#reply.raw.end(text)
  }

  /** Stops without another word; a stream that is not open leaves the reply to others. */
  abandon (): void {
    this.#isEnded = true
    this.#pending = ''
    clearTimeout(this.#keepAlive)
  }

  readonly #flushScheduled = (): void => {
    this.#isFlushScheduled = false
    if (this.#pending !== '') this.#flush()
  }

  #flush (): void {
    const { raw } = this.#reply
    if (raw.destroyed) {
      this.abandon()
      return
    }
    this.#open()
    raw.write(this.#pending)
    this.#pending = ''
    this.#keepAlive.refresh()
    if (raw.writableLength > this.#options.maxBufferedBytes + largestAtOnce * this.#largestBytes) {
      this.abandon()
      this.#options.onOverflow()
      raw.destroy()
    }
  }

  #open (): void {
    if (this.#isOpen) return
    this.#isOpen = true
    this.#reply.hijack()
    this.#reply.raw.writeHead(200, {
      ...(this.#reply.getHeaders() as OutgoingHttpHeaders),
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      // Proxies such as nginx would hold events back.
      'x-accel-buffering': 'no'
    })
  }
}
