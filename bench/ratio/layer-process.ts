import { createEngineLayer } from './engine-layer.ts'
import { createHttpLayer } from './http-layer.ts'
import { createLocalLayer, createRemoteLayer } from './inference-layer.ts'
import type { Layer, LayerName, LayerOptions, LayerReply, LayerRequest, LayerResult, RunOptions } from './layer.ts'

/* The main module of the process that holds one layer. It ends with its parent. */

async function openLayer (name: LayerName, options: LayerOptions): Promise<Layer> {
  switch (name) {
    case 'engine': return await createEngineLayer(options)
    case 'local': return await createLocalLayer(options)
    case 'remote': return await createRemoteLayer(options)
    case 'http': return createHttpLayer(options)
  }
}

/** Rounds until the time is full, at least one; the clock runs only while streams do. */
async function runRounds (layer: Layer, options: RunOptions, seconds: number): Promise<LayerResult> {
  let elapsedMs = 0
  let rounds = 0
  let texts: readonly string[] = []
  while (elapsedMs < seconds * 1000) {
    const startedAt = performance.now()
    const read = await layer.run(options)
    elapsedMs += performance.now() - startedAt
    rounds++
    texts = read()
  }
  return { rounds, tokens: rounds * options.streams * options.tokens, seconds: elapsedMs / 1000, texts }
}

let layer: Layer | null = null

async function answer (request: LayerRequest): Promise<LayerReply> {
  if (request.type === 'open') {
    layer = await openLayer(request.name, request.options)
    return { type: 'opened' }
  }
  if (layer === null) throw new Error('The layer is not open')
  return { type: 'ran', result: await runRounds(layer, request.options, request.seconds) }
}

process.on('message', (request: LayerRequest) => {
  answer(request).then(
    (reply) => process.send?.(reply),
    (error: unknown) => process.send?.({
      type: 'failed', message: error instanceof Error ? error.stack ?? error.message : String(error)
    } satisfies LayerReply))
})
process.on('disconnect', () => {
  Promise.resolve(layer?.[Symbol.asyncDispose]()).then(() => process.exit(0), () => process.exit(1))
})
