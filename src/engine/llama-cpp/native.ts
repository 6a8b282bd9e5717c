import { getLlama, getModuleVersion, LlamaLogLevel, NoBinaryFoundError, readGgufFileInfo } from 'node-llama-cpp'
import type { GgufFileInfo, Llama, LlamaModel } from 'node-llama-cpp'
import { ServerError } from '../../domain/errors.ts'
import type { EngineLogger } from './engine-options.ts'

/*
 * The only file that touches what node-llama-cpp marks as internal: the per-step calls of its native objects. The types
 * here are our own view of `llama/addon/*.cpp` of the pinned version, as read, not as published; the engine contract
 * suite is what holds them true.
 */

/** Index of a token's logits in the last decoded batch. */
export type LogitIndex = number & { readonly __brand: 'LogitIndex' }

/** The weights. Tokenizing is synchronous and safe while a context decodes. */
export interface NativeModel {
  tokenize (text: string, special: boolean): Uint32Array
  /** Invalid UTF-8 becomes U+FFFD; drops a leading space where the model adds one. */
  detokenize (tokens: Uint32Array, special: boolean): string
  /** The vocabulary's own text of a token, not decoded. */
  getTokenString (token: number): string | undefined
  /** Bits as in `tokenAttribute`. */
  getTokenAttributes (token: number): number
  isEogToken (token: number): boolean
  /** -1 for none. */
  tokenBos (): number
  tokenEos (): number
  sepToken (): number
  shouldPrependBosToken (): boolean
  shouldAppendEosToken (): boolean
  getEmbeddingVectorSize (): number
  getTrainContextSize (): number
  getTotalParameters (): number
  getModelSize (): number
  loadLora (lora: NativeLora): Promise<void>
}

export interface NativeLora {
  dispose (): Promise<void>
}

/** A sampler's settings. An absent key switches its part off. Not to be changed while a draw with it runs. */
export interface NativeSamplerConfig {
  /** 0 is greedy. */
  temperature?: number
  minP?: number
  /** Absent keeps all; 0 would keep all too, but sort the whole vocabulary for it. */
  topK?: number
  topP?: number
  /** 0xffffffff means "random" to llama.cpp. */
  seed?: number
  xtcProbability?: number
  xtcThreshold?: number
  repeatPenalty?: number
  repeatPenaltyMaxTokens?: number
  repeatPenaltyTokens?: Uint32Array
  tokenBiasKeys?: Uint32Array
  tokenBiasValues?: Float32Array
  grammarEvaluationState?: NativeGrammarState
}

export interface NativeSampler {
  applyConfig (config: NativeSamplerConfig): void
  dispose (): void
}

export interface NativeGrammar { readonly __brand: 'NativeGrammar' }
export interface NativeGrammarState { readonly __brand: 'NativeGrammarState' }

/** `[tokens, withHighest, withLowest, withSelected, topCount]`: whose logits to return. */
export type LogitFilter = readonly [readonly number[], boolean, boolean, boolean, number]

/** `[token, probabilities, confidence, logits as token, logit, token, logit, …, sum of exp(logit - highest logit)]` */
export type DetailedDraw = readonly [
  number, number[] | undefined, number | undefined, number[] | undefined, number | undefined
]

/**
 * One llama.cpp context. Nothing of it may be called while `decodeBatch`, a copy, a save or a load runs, but for `sampleToken` where
 * it runs after that (`runsJobsInOrder`).
 */
export interface NativeContext {
  init (): Promise<boolean>
  dispose (): Promise<void>
  getContextSize (): number
  /** Starts a new batch of exactly this many tokens. Needed before every decode. */
  initBatch (size: number): void
  addToBatch (sequence: number, position: number, tokens: Uint32Array, logitsFor: Uint32Array): Uint32Array
  decodeBatch (): Promise<void>
  /** -1 when nothing could be drawn. The drawn token is accepted by the sampler and its grammar. */
  sampleToken (index: LogitIndex, sampler: NativeSampler): Promise<number>
  sampleToken (
    index: LogitIndex, sampler: NativeSampler, probabilities: boolean, confidence: boolean,
    logits: LogitFilter | undefined, totalWeight: boolean
  ): Promise<DetailedDraw>
  /** Removes the cells of positions `start` to `end`, -1 being the end; false where the architecture cannot. */
  removeTokenCellsFromSequence (sequence: number, start: number, end: number): boolean
  copySequenceStateFromOtherSequence (target: number, source: number): Promise<number>
  /**
   * Writes what a sequence holds to a file; bytes written. The tokens are a note for whoever loads it: at least one, or what is loaded
   * is garbage.
   */
  saveSequenceStateToFile (path: string, sequence: number, tokens: Uint32Array): Promise<number>
  /** Replaces what a sequence holds; the tokens of the note, at most so many. Rejects when the file does not fit, or is none. */
  loadSequenceStateFromFile (path: string, sequence: number, mostTokens: number): Promise<Uint32Array>
  /**
   * The pooled vector of sequence 0 after a decode, which is the only sequence that can be asked for.
   * @param mostNumbers of the vector; 0 is all
   */
  getEmbedding (inputLength: number, mostNumbers: number): Float64Array
  setLoras (loras: readonly NativeLora[], scales: readonly number[]): void
  setThreads (threads: number): void
}

export interface NativeContextParams {
  /** Tokens of all sequences together. */
  readonly contextSize: number
  /** Most tokens in one decode. */
  readonly batchSize: number
  readonly sequences: number
  readonly threads: number
  readonly flashAttention: boolean | 'auto'
  readonly swaFullCache: boolean
  /** Whether decodes give vectors. */
  readonly embeddings?: boolean
}

export interface NativeBindings {
  readonly AddonContext: new (model: NativeModel, params: NativeContextParams) => NativeContext
  readonly AddonModelLora: new (model: NativeModel, path: string) => NativeLora
  readonly AddonSampler: {
    new (model: NativeModel): NativeSampler
    acceptGrammarEvaluationStateToken (state: NativeGrammarState, token: number): void
    canBeNextTokenForGrammarEvaluationState (state: NativeGrammarState, token: number): boolean
  }
  readonly AddonGrammar: new (
    text: string, params: { addonExports: NativeBindings, rootRuleName: string }
  ) => NativeGrammar
  readonly AddonGrammarEvaluationState: {
    new (model: NativeModel, grammar: NativeGrammar): NativeGrammarState
    new (existing: NativeGrammarState): NativeGrammarState
  }
  getIsArchRecurrent (architecture: string): boolean | undefined
  getIsArchHybrid (architecture: string): boolean | undefined
}

interface LlamaInternals { readonly _bindings: NativeBindings }
interface LlamaModelInternals { readonly _model: NativeModel }

export type GpuKind = 'cuda' | 'vulkan' | 'metal'

export type GpuChoice = 'auto' | 'off' | GpuKind

/**
 * Which llama.cpp is loaded: what npm installed, what was compiled on this machine, or whichever of them the bindings come upon
 * first (the best device, and for a device the local one).
 */
export type BuildSource = 'prebuilt' | 'local' | 'either'

/** llama.cpp's library, loaded for a device. */
export interface NativeBackend {
  readonly llama: Llama
  readonly bindings: NativeBindings
  /** For example `node-llama-cpp 3.22.1, llama.cpp v0.5.0, cpu, prebuilt`. */
  readonly build: string
  /** Whether threads that wait for each other may sleep. llama.cpp's own threads spin. */
  readonly hasOpenMp: boolean
  /** The logger hears no more. */
  release (): void
}

const levels = {
  [LlamaLogLevel.disabled]: 'trace',
  [LlamaLogLevel.fatal]: 'error',
  [LlamaLogLevel.error]: 'error',
  [LlamaLogLevel.warn]: 'warn',
  [LlamaLogLevel.info]: 'debug',
  [LlamaLogLevel.log]: 'debug',
  [LlamaLogLevel.debug]: 'trace'
} as const satisfies Record<LlamaLogLevel, keyof EngineLogger>

interface LoadedLibrary {
  readonly llama: Llama
  readonly loggers: Set<EngineLogger>
}

/**
 * The native library is one per process whatever we do, so this mirrors it. It is loaded once for a device and stays: when
 * the bindings set its log callback a second time, the first one's finalizer switches logging over to stdout, and disposing
 * of one instance frees the backend under the others.
 */
const libraries = new Map<string, Promise<LoadedLibrary>>()

/**
 * node-llama-cpp looks for builds with options of their own in a folder that is named after them; of the prebuilt ones there is
 * only one. So with an option that no build has, it finds nothing but what npm installed.
 */
const noLocalBuild = { DRAWBRIDGE_PREBUILT: 'ON' }

async function loadLibrary (gpu: GpuChoice, source: BuildSource): Promise<LoadedLibrary> {
  // The bindings would take the CPU without a word.
  if (gpu === 'metal' && process.platform !== 'darwin') throw unusableGpu(gpu)
  const loggers = new Set<EngineLogger>()
  const llama = await getLlama({
    gpu: gpu === 'off' ? false : gpu,
    // Nothing is compiled or downloaded: what is installed either runs or does not.
    build: 'never',
    skipDownload: true,
    usePrebuiltBinaries: source !== 'local',
    ...(source === 'prebuilt' ? { cmakeOptions: noLocalBuild } : {}),
    progressLogs: false,
    // Threads are the scheduler's to share out; 0 keeps the bindings from doing it too.
    maxThreads: 0,
    logLevel: LlamaLogLevel.info,
    logger: (level, message) => {
      const text = message.trim()
      if (text !== '') for (const logger of loggers) logger[levels[level]]({ backend: 'llama.cpp' }, text)
    }
  }).catch((error: unknown) => {
    if (!(error instanceof NoBinaryFoundError)) throw error
    throw source === 'local'
      ? new ServerError('engine_error', 'there is no llama.cpp that was built on this machine, or it cannot be loaded', { cause: error })
      : unusableGpu(gpu, error)
  })
  if (gpu !== 'auto' && gpu !== 'off' && llama.gpu !== gpu) throw unusableGpu(gpu)
  return { llama, loggers }
}

function unusableGpu (gpu: GpuChoice, cause?: unknown): ServerError {
  const reason = gpu === 'auto' || gpu === 'off'
    ? 'the prebuilt llama.cpp of node-llama-cpp does not run on this machine'
    : `no ${gpuNames[gpu]} device and driver that llama.cpp could use were found on this machine; ` +
      '--gpu auto takes what there is, --gpu off the CPU'
  return new ServerError('engine_error', `--gpu is ${gpu}, but ${reason}`, { cause })
}

export const gpuNames: Readonly<Record<GpuKind, string>> = { cuda: 'CUDA', vulkan: 'Vulkan', metal: 'Metal' }

/**
 * Loads llama.cpp's library. Its messages go to the logger of every backend that is not released.
 * @throws ServerError `engine_error` when it does not run here, or not on the kind of GPU that was asked for
 */
export async function loadNativeBackend (gpu: GpuChoice, source: BuildSource, logger: EngineLogger): Promise<NativeBackend> {
  const name = `${gpu} ${source}`
  let library = libraries.get(name)
  if (library === undefined) {
    library = loadLibrary(gpu, source)
    libraries.set(name, library)
    library.catch(() => libraries.delete(name))
  }
  const { llama, loggers } = await library
  loggers.add(logger)
  const { _bindings: bindings } = llama as unknown as LlamaInternals
  const device = llama.gpu === false ? 'cpu' : llama.gpu
  const origin = llama.buildType === 'prebuilt' ? 'prebuilt' : 'native build'
  const build = `node-llama-cpp ${await getModuleVersion()}, llama.cpp ${llama.llamaCppRelease.release}, ${device}, ${origin}`
  const hasOpenMp = /\bOPENMP = 1\b/.test(llama.systemInfo)
  return { llama, bindings, build, hasOpenMp, release: () => { loggers.delete(logger) } }
}

export const nativeModelOf = (model: LlamaModel): NativeModel => (model as unknown as LlamaModelInternals)._model

/** Reads a GGUF file's header and metadata, not its weights. */
export async function readModelFile (path: string, signal: AbortSignal | undefined): Promise<GgufFileInfo> {
  return await readGgufFileInfo(path, { sourceType: 'filesystem', ...(signal === undefined ? {} : { signal }) })
}
