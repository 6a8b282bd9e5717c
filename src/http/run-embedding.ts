import { randomUUID } from 'node:crypto'
import { asRequestId } from '../domain/ids.ts'
import type { EmbeddingRequest, Prompt } from '../inference/inference.ts'
import { createBooking } from './book-usage.ts'
import { EmbeddingTrace } from './embedding-trace.ts'
import type { OpenEmbedder } from './open-embedder.ts'
import { reserveRun } from './reserve-run.ts'
import { estimateRun } from './run-estimate.ts'
import type { RequestContext } from './request-context.ts'
import { queueTimeoutOf, serviceClassOf, type ServiceClassRequest } from './schemas/service-class.ts'
import type { HttpServices } from './services.ts'

export interface EmbeddingRun {
  readonly id: string
  /** In the order of the inputs. */
  readonly vectors: readonly Float32Array[]
  readonly promptTokens: number
}

/** What is asked of a model that makes vectors, beside how urgent it is. */
export type EmbeddingWish = Pick<EmbeddingRequest, 'inputs' | 'query' | 'param'> & { readonly idPrefix: 'embd' | 'rerank' }

/** Runs a request for vectors to its end, and books what it used. The context hears of it. */
export async function runEmbedding (
  { host, info, embedding }: OpenEmbedder, { idPrefix, ...wish }: EmbeddingWish, body: ServiceClassRequest & { readonly model: string }, context: RequestContext, services: HttpServices
): Promise<EmbeddingRun> {
  const { config, now } = services
  const { caller } = context
  const serviceClass = serviceClassOf(body, caller)
  const id = `${idPrefix}-${randomUUID().replaceAll('-', '')}`
  const trace = new EmbeddingTrace({
    id, operation: idPrefix === 'embd' ? 'embeddings' : 'rerank', requestedModel: body.model, model: host.id, inputs: wish.inputs.length, arrivedAt: context.arrivedAt, now
  })
  context.generation = trace
  // A query is read with each document.
  const texts = wish.query === undefined ? [] : wish.inputs.map(() => toPrompt({ text: wish.query ?? '' }))
  await reserveRun(id, host.id, estimateRun({ prompts: [...wish.inputs.map(toPrompt), ...texts], choices: 0, maxTokens: null }, info), context, services)
  const book = createBooking(trace, context, services)
  const vectors = new Array<Float32Array>(wish.inputs.length).fill(new Float32Array(embedding.size))
  let promptTokens = 0
  try {
    for await (const event of host.inference.embed({
      id: asRequestId(id),
      tenant: caller.tenant,
      weight: caller.weight,
      priority: serviceClass.priority,
      ...wish,
      queueTimeoutMs: queueTimeoutOf(serviceClass, config),
      timeoutMs: config.requestTimeoutMs
    }, context.cancellation.signal)) {
      trace.take(event)
      if (event.type === 'embedded') vectors[event.input] = event.vector
      if (event.type === 'finished') promptTokens = event.promptTokens
    }
  } catch (error) {
    await book(error)
    throw error
  }
  await book(null)
  return { id, vectors, promptTokens }
}

const toPrompt = (input: EmbeddingRequest['inputs'][number]): Prompt => 'tokens' in input ? { tokens: input.tokens } : { segments: [{ text: input.text, origin: 'user' }] }
