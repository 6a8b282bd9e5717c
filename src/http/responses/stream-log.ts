import { once } from 'node:events'
import type { FastifyReply } from 'fastify'
import type { HttpServices } from '../services.ts'
import { SseStream } from '../sse.ts'
import type { EventLog } from './event-log.ts'

/** Streams a log's events after that number, no faster than the client reads them. The log goes on without the client. */
export async function streamLog (reply: FastifyReply, { config }: HttpServices, log: EventLog, after: number): Promise<FastifyReply> {
  const leaving = new AbortController()
  const { signal } = leaving
  const leave = (): void => leaving.abort()
  reply.raw.once('close', leave)
  if (reply.raw.destroyed) leave()
  // It waits for the reader, so hardly more than one read gives is ever buffered.
  const stream = new SseStream(reply, { keepAliveMs: config.keepAliveMs, maxBufferedBytes: Infinity, onOverflow: () => {} })
  try {
    for await (const events of log.read(after, signal)) {
      stream.send(events)
      if (reply.raw.writableNeedDrain) await once(reply.raw, 'drain', { signal })
    }
  } catch (error) {
    // The wait ends so when the client leaves.
    if (!signal.aborted) {
      stream.abandon()
      throw error
    }
  }
  if (signal.aborted) stream.abandon()
  else stream.end('')
  return reply
}
