import type { ServerError } from '../../domain/errors.ts'
import type { Millis, SequenceId } from '../../domain/ids.ts'
import type { Bridging } from './bridges.ts'

/** Where the engine's and llama.cpp's own messages go: an object, then a short sentence, as pino takes them. */
export interface EngineLogger {
  trace (details: object, message: string): void
  debug (details: object, message: string): void
  info (details: object, message: string): void
  warn (details: object, message: string): void
  error (details: object, message: string): void
}

/**
 * llama.cpp follows all ways at once in which a grammar can read the answer so far. Their number can grow exponentially, and
 * a draw cannot be interrupted.
 */
export interface GrammarDrawLimits {
  /** A sequence whose draw took longer ends with `invalid_grammar`: its next one would take many times as long. */
  readonly slowMs: Millis
  /** A draw that is not over by then may never be; see {@link LlamaCppEngineOptions.onStuck}. */
  readonly stuckMs: Millis
}

export interface LlamaCppEngineOptions {
  /** Path of a GGUF file on this machine. */
  readonly modelPath: string
  /** Path of the GGUF of a smaller model of the same vocabulary, which makes guesses where plans want them; none where it is absent. */
  readonly draftModelPath?: string | undefined
  readonly gpu: 'auto' | 'off' | 'cuda' | 'vulkan' | 'metal'
  /**
   * Which llama.cpp: what npm installed (the default), one that was compiled on this machine, or with `auto` the latter if
   * there is one and a trial shows that it works.
   */
  readonly build?: 'prebuilt' | 'local' | 'auto' | undefined
  /** A small GGUF model for that trial, and for one of the GPU; without one `auto` is as `prebuilt`, and the GPU is not tried. */
  readonly trialModelPath?: string | undefined
  /** Where the engine may remember what it found out about this machine; null or absent remembers nothing. */
  readonly cacheFolder?: string | null | undefined
  /** Layers that go to the GPU; `auto` is as many as fit. Without effect on the CPU. */
  readonly gpuLayers: 'auto' | 'max' | number
  /** Threads to share out among the lanes; `auto` is the cores that this process may use. */
  readonly threads: 'auto' | number
  /**
   * What may be chosen anew on a CPU by a measurement after loading: `attention`, or `all`, which is also the number of
   * threads of a single lane. Absent is `off`.
   */
  readonly calibrate?: 'off' | 'attention' | 'all' | undefined
  /** Most threads that a calibration may choose where they wait for each other without spinning (OpenMP); `threads` elsewhere. */
  readonly openMpThreads?: number | undefined
  /** Whether attention is computed in one pass over the cache where llama.cpp can; true unless given. */
  readonly flashAttention?: boolean | undefined
  /** Whether steps take idle slots between busy ones along; always on a GPU, and where it was measured to pay on a CPU, unless given. */
  readonly bridging?: Bridging | undefined
  /** Whether a model that writes text makes vectors too; embedding models do without. */
  readonly embeddings?: boolean | undefined
  readonly laneCount: number
  /** At most 256, which is what llama.cpp allows in a context. */
  readonly slotsPerLane: number
  /** Tokens that each slot can hold. */
  readonly contextSize: number
  /** Most tokens in one step of one lane. */
  readonly maxStepTokens: number
  /**
   * Folder in which caches are saved, of this engine alone: it is made, emptied of what an earlier one left, and removed. By default one
   * in the system's folder for temporary files.
   */
  readonly parkDirectory?: string | undefined
  /** Called with 0 to 1 while the weights are read. */
  readonly onProgress?: ((progress: number) => void) | undefined
  readonly logger?: EngineLogger | undefined
  readonly grammarDrawLimits?: GrammarDrawLimits | undefined
  /**
   * A sequence's draw does not end, and with it neither the step nor any other of its lane: the process has to be replaced.
   */
  readonly onStuck?: ((sequence: SequenceId, error: ServerError) => void) | undefined
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
