/** Where the engine's and llama.cpp's own messages go: an object, then a short sentence, as pino takes them. */
export interface EngineLogger {
  trace (details: object, message: string): void
  debug (details: object, message: string): void
  info (details: object, message: string): void
  warn (details: object, message: string): void
  error (details: object, message: string): void
}

export interface LlamaCppEngineOptions {
  /** Path of a GGUF file on this machine. */
  readonly modelPath: string
  readonly gpu: 'auto' | 'off' | 'cuda' | 'vulkan' | 'metal'
  /** Layers that go to the GPU; `auto` is as many as fit. Without effect on the CPU. */
  readonly gpuLayers: 'auto' | 'max' | number
  /** Threads to share out among the lanes; `auto` is the cores that this process may use. */
  readonly threads: 'auto' | number
  readonly laneCount: number
  /** At most 256, which is what llama.cpp allows in a context. */
  readonly slotsPerLane: number
  /** Tokens that each slot can hold. */
  readonly contextSize: number
  /** Most tokens in one step of one lane. */
  readonly maxStepTokens: number
  /** Called with 0 to 1 while the weights are read. */
  readonly onProgress?: ((progress: number) => void) | undefined
  readonly logger?: EngineLogger | undefined
  /** Stops the loading; the engine that was loaded does not listen to it. */
  readonly signal?: AbortSignal | undefined
}

/** For those who do not want to hear of it. */
export const silentLogger: EngineLogger = {
  trace: () => {},
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {}
}
