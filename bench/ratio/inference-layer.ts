import { baseAdapterSet } from '../../src/domain/adapter-set.ts'
import { asRequestId, asTenantId } from '../../src/domain/ids.ts'
import { greedySampling } from '../../src/domain/sampling.ts'
import { createLlamaCppEngine } from '../../src/engine/llama-cpp/llama-cpp-engine.ts'
import { threadPoolSize } from '../../src/engine/llama-cpp/thread-pool-size.ts'
import type { Inference } from '../../src/inference/inference.ts'
import { LocalInference } from '../../src/inference/local.ts'
import { createProcessHost } from '../../src/models/process-host.ts'
import type { Layer, LayerOptions, RunOptions } from './layer.ts'

const maxQueue = 256

/** The engine behind scheduler, step loop and detokenizer, all in this process. */
export async function createLocalLayer (options: LayerOptions): Promise<Layer> {
  return new InferenceLayer(new LocalInference(await createLlamaCppEngine(options.engine), { maxQueue }), options.prompt)
}

/** The same in an engine process, and the way to it. */
export async function createRemoteLayer (options: LayerOptions): Promise<Layer> {
  const silent = (): void => {}
  const host = createProcessHost({
    id: 'demo',
    root: 'demo',
    createdAt: 0,
    spec: { backend: 'llama-cpp', options: options.engine },
    scheduling: { maxQueue },
    queueTimeoutMs: 60_000,
    stallTimeoutMs: 60_000,
    threadPoolSize: threadPoolSize(options.engine.laneCount, { isOnGpu: false, cores: 1 }),
    logger: { trace: silent, debug: silent, info: silent, warn: silent, error: silent },
    logLevel: 'silent'
  })
  await host.ready(AbortSignal.timeout(60_000))
  return new InferenceLayer(host.inference, options.prompt)
}

class InferenceLayer implements Layer {
  readonly #inference: Inference
  readonly #prompt: string
  #requests = 0

  constructor (inference: Inference, prompt: string) {
    this.#inference = inference
    this.#prompt = prompt
  }

  async run ({ streams, tokens }: RunOptions): Promise<() => readonly string[]> {
    const texts = await Promise.all(Array.from({ length: streams }, async () => {
      const events = this.#inference.generate({
        id: asRequestId(`bench-${++this.#requests}`),
        tenant: asTenantId('bench'),
        prompt: { segments: [{ text: this.#prompt, origin: 'user' }] },
        adapters: baseAdapterSet,
        choices: 1,
        maxTokens: tokens,
        stop: [],
        sampling: { ...greedySampling, ignoreEos: true },
        queueTimeoutMs: 60_000,
        timeoutMs: 600_000
      }, new AbortController().signal)
      let text = ''
      let drawn = 0
      for await (const event of events) {
        if (event.type === 'text') text += event.text
        if (event.type === 'finished') drawn = event.completionTokens
      }
      if (drawn !== tokens) throw new Error(`A stream of ${tokens} tokens ended after ${drawn}`)
      return text
    }))
    return () => texts
  }

  async [Symbol.asyncDispose] (): Promise<void> {
    await this.#inference.close()
  }
}
