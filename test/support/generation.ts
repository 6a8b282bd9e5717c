import { setMaxListeners } from 'node:events'
import { baseAdapterSet } from '../../src/domain/adapter-set.ts'
import { asRequestId, asTenantId } from '../../src/domain/ids.ts'
import { greedySampling } from '../../src/domain/sampling.ts'
import type { EmbeddingRequest, GenerationEvent, GenerationRequest } from '../../src/inference/inference.ts'

let requests = 0

/** A greedy request that a test changes as it needs. */
export function generationRequest (prompt: string, changes: Partial<GenerationRequest> = {}): GenerationRequest {
  return {
    id: asRequestId(`request-${++requests}`),
    tenant: asTenantId('tenant'),
    prompt: { segments: [{ text: prompt, origin: 'template' }] },
    adapters: baseAdapterSet,
    choices: 1,
    maxTokens: 20,
    stop: [],
    sampling: { ...greedySampling, ignoreEos: true },
    queueTimeoutMs: 30_000,
    timeoutMs: 60_000,
    ...changes
  }
}

/** A request for vectors of texts that a test changes as it needs. */
export function embeddingRequest (texts: readonly string[], changes: Partial<EmbeddingRequest> = {}): EmbeddingRequest {
  return {
    id: asRequestId(`request-${++requests}`),
    tenant: asTenantId('tenant'),
    inputs: texts.map((text) => ({ text })),
    param: 'input',
    queueTimeoutMs: 30_000,
    timeoutMs: 60_000,
    ...changes
  }
}

export const neverAborted = new AbortController().signal
// Many requests listen to it at once; the warning of more than ten is for leaks.
setMaxListeners(0, neverAborted)

export async function collectEvents<Event> (events: AsyncIterable<Event>): Promise<Event[]> {
  const all: Event[] = []
  for await (const event of events) all.push(event)
  return all
}

export function textOf (events: readonly GenerationEvent[], choice = 0): string {
  let text = ''
  for (const event of events) if (event.type === 'text' && event.choice === choice) text += event.text
  return text
}
