import { setMaxListeners } from 'node:events'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { ServerError } from '../domain/errors.ts'
import type { GenerationEvent, GenerationRequest, Inference, PredictionCounts } from '../inference/inference.ts'
import type { BookUsage } from './book-usage.ts'
import type { GenerationTrace } from './generation-trace.ts'
import { noteError, toClientError } from './plugins/errors.ts'
import type { HttpServices } from './services.ts'
import { SseStream, type StreamEnds } from './sse.ts'
import type { TokenCounts } from './usage.ts'

/** Takes the events of a request's prompts, which run side by side, in the order in which they happen. */
export interface GenerationSink {
  take (prompt: number, event: GenerationEvent): void
}

/** Adds up what the prompts of a request used. */
export class UsageSum implements TokenCounts {
  promptTokens = 0
  cachedTokens = 0
  completionTokens = 0
  reasoningTokens = 0
  prediction: PredictionCounts = { accepted: 0, rejected: 0 }

  add (counts: TokenCounts): void {
    this.promptTokens += counts.promptTokens
    this.cachedTokens += counts.cachedTokens
    this.completionTokens += counts.completionTokens
    const { accepted, rejected } = this.prediction
    if (counts.prediction !== undefined) this.prediction = { accepted: accepted + counts.prediction.accepted, rejected: rejected + counts.prediction.rejected }
  }
}

export interface Generation {
  readonly inference: Inference
  /** One for each prompt. */
  readonly requests: readonly GenerationRequest[]
  readonly trace: GenerationTrace
  readonly book: BookUsage
  readonly cancellation: AbortController
}

/**
 * Runs all prompts of a request to their end. When one fails, the others are given up. What it used is booked before the sink hears of the end.
 * @throws what the prompt that failed first threw
 */
export async function runGeneration ({ inference, requests, trace, book, cancellation }: Generation, sink: GenerationSink): Promise<void> {
  const errors: unknown[] = []
  let running = requests.length
  // Every prompt listens while it runs; Node takes more than ten listeners for a leak.
  if (requests.length > 1) setMaxListeners(0, cancellation.signal)
  await Promise.all(requests.map(async (request, prompt) => {
    try {
      for await (const event of inference.generate(request, cancellation.signal)) {
        trace.take(prompt, event)
        if (event.type === 'finished' && --running === 0) await book(null)
        sink.take(prompt, event)
      }
    } catch (error) {
      errors.push(error)
      cancellation.abort()
    }
  }))

  if (errors.length > 0) {
    await book(errors[0])
    throw errors[0]
  }
}

/** How the events of a run become those of an API's stream. */
export interface GenerationStream extends StreamEnds {
  /** Makes the sink that writes to the stream. */
  readonly createSink: (send: (events: string) => void) => GenerationSink
}

/**
 * Runs a request and streams it.
 * @throws what happened before anything was sent, so that it can have its true status
 */
export async function streamGeneration (
  request: FastifyRequest,
  reply: FastifyReply,
  { config, maxStreamBufferBytes }: HttpServices,
  generation: Generation,
  { createSink, end, fail, keepAlive }: GenerationStream
): Promise<FastifyReply> {
  const stream = new SseStream(reply, {
    keepAliveMs: config.keepAliveMs,
    keepAlive,
    maxBufferedBytes: maxStreamBufferBytes,
    onOverflow: () => {
      noteError(request, new ServerError('request_aborted', `The client reads too slowly: more than ${maxStreamBufferBytes} bytes wait for it`))
      generation.cancellation.abort()
    }
  })
  try {
    await runGeneration(generation, createSink((events) => stream.send(events)))
    stream.end(end())
  } catch (thrown) {
    if (!stream.isOpen) {
      stream.abandon()
      throw thrown
    }
    const error = toClientError(thrown, config.bodyLimit)
    // Once the client has gone, an abort is no news.
    if (error.code !== 'request_aborted') noteError(request, error)
    stream.end(fail(error))
  }
  return reply
}
