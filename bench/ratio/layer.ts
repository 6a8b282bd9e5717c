import type { LlamaCppEngineOptions } from '../../src/engine/llama-cpp/engine-options.ts'

/**
 * The ways from the engine to a user that are compared, each with one more thing in between:
 * - `engine`: forward passes and nothing else; every step has all streams in it.
 * - `local`: the scheduler, the step loop and the detokenizer in the engine's process.
 * - `remote`: an engine process and the IPC to it.
 * - `http`: the whole server, and a client that reads its streams.
 */
export const layerNames = ['engine', 'local', 'remote', 'http'] as const
export type LayerName = typeof layerNames[number]

export interface RunOptions {
  /** Streams at the same time, at most as many as there are slots. */
  readonly streams: number
  /** Tokens of each stream. */
  readonly tokens: number
}

/** One way to get tokens out of the model. */
export interface Layer extends AsyncDisposable {
  /**
   * Settles when all streams have ended.
   * @returns what gives the streams' texts and checks their lengths: not part of what is measured.
   */
  run (options: RunOptions): Promise<() => readonly string[]>
}

export interface LayerOptions {
  readonly engine: Omit<LlamaCppEngineOptions, 'onProgress' | 'logger' | 'signal'>
  /** What every stream goes on with. */
  readonly prompt: string
  /** Only for `http`. */
  readonly url: string
}

/** From the benchmark to the process of a layer, and back. */
export type LayerRequest =
  | { readonly type: 'open', readonly name: LayerName, readonly options: LayerOptions }
  | { readonly type: 'run', readonly options: RunOptions, readonly seconds: number }
export type LayerReply =
  | { readonly type: 'opened' }
  | { readonly type: 'ran', readonly result: LayerResult }
  | { readonly type: 'failed', readonly message: string }

/** Several rounds of the same streams, one after the other. */
export interface LayerResult {
  readonly rounds: number
  readonly tokens: number
  /** From the start of each round to its last token, summed. */
  readonly seconds: number
  /** What the streams of the last round said. */
  readonly texts: readonly string[]
}
