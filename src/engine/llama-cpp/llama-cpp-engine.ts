import { statSync } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import type { GgufFileInfo, LlamaModel } from 'node-llama-cpp'
import type { AdapterKey } from '../../domain/adapter-set.ts'
import { ServerError } from '../../domain/errors.ts'
import { asLaneId, type LaneId, type Token } from '../../domain/ids.ts'
import type { StepPlan, WorkOutcome } from '../../scheduler/plan.ts'
import type { AdapterFile, Engine, EngineInfo, Tokenizer } from '../engine.ts'
import { Adapters } from './adapters.ts'
import { CachePark } from './cache-park.ts'
import { calibrate } from './calibrate.ts'
import { chooseBuild } from './choose-build.ts'
import { chooseDevice } from './choose-device.ts'
import { createContext } from './create-context.ts'
import { loadDraftModel } from './draft-model.ts'
import { Embedder, planEmbeddings, poolingOverrides, type EmbeddingPlan } from './embedder.ts'
import { silentLogger } from './engine-options.ts'
import type { EngineLogger, LlamaCppEngineOptions } from './engine-options.ts'
import { FactMemory } from './fact-memory.ts'
import { defaultGrammarDrawLimits } from './grammar-draw.ts'
import { Grammars } from './grammars.ts'
import { Lane } from './lane.ts'
import {
  assertContextSize, assertLanguageModel, describeModel, endTokensOf, poolingIn, vocabularyStyleOf
} from './model-info.ts'
import { loadNativeBackend, nativeModelOf, readModelFile } from './native.ts'
import type { NativeBackend, NativeModel } from './native.ts'
import { SequenceBreakers } from './sequence-breakers.ts'
import type { SamplingParts } from './slot-sampler.ts'
import { cellsPerSlot, SpeedGauge } from './speed-gauge.ts'
import { runsJobsInOrder } from './thread-pool-size.ts'
import { LlamaCppTokenizer } from './tokenizer.ts'

/** llama.cpp's `LLAMA_MAX_SEQ`. */
const maxSlotsPerLane = 256

interface EngineParts {
  readonly info: EngineInfo
  readonly tokenizer: Tokenizer
  /** None of a model that only embeds. */
  readonly lanes: readonly Lane[]
  readonly embedder: Embedder | null
  readonly adapters: Adapters
  readonly grammars: Grammars
  readonly dispose: () => Promise<void>
}

/** Runs a GGUF model through llama.cpp, one context per lane over one copy of the weights. */
export class LlamaCppEngine implements Engine {
  readonly info: EngineInfo
  readonly tokenizer: Tokenizer
  readonly #parts: EngineParts
  #disposed: Promise<void> | null = null

  /** Use {@link createLlamaCppEngine}. */
  constructor (parts: EngineParts) {
    this.info = parts.info
    this.tokenizer = parts.tokenizer
    this.#parts = parts
  }

  step (plan: StepPlan): Promise<readonly WorkOutcome[]> {
    const lane = this.#parts.lanes[plan.lane]
    if (this.#disposed !== null) return Promise.reject(new ServerError('engine_error', 'The engine is disposed'))
    if (lane === undefined) return Promise.reject(new ServerError('engine_error', `There is no lane ${plan.lane}`))
    return lane.step(plan)
  }

  embed (lane: LaneId, tokens: readonly Token[]): Promise<Float32Array> {
    if (this.#disposed !== null) return Promise.reject(new ServerError('engine_error', 'The engine is disposed'))
    return this.#parts.embedder?.embed(lane, tokens) ?? Promise.reject(new ServerError('engine_error', 'The model makes no vectors'))
  }

  checkGrammar (grammar: string): void {
    this.#parts.grammars.check(grammar)
  }

  async loadAdapter (key: AdapterKey, file: AdapterFile, signal: AbortSignal): Promise<void> {
    await this.#parts.adapters.load(key, file.path, signal)
  }

  async unloadAdapter (key: AdapterKey): Promise<void> {
    if (!this.#parts.adapters.has(key)) return
    // Contexts hold their adapters by address until they are given others.
    for (const lane of this.#parts.lanes) await lane.releaseAdapter(key)
    await this.#parts.adapters.unload(key)
  }

  [Symbol.asyncDispose] (): Promise<void> {
    return (this.#disposed ??= this.#parts.dispose())
  }
}

/**
 * Loads a model and makes its lanes. Whoever spawns the process sets `UV_THREADPOOL_SIZE` (see `threadPoolSize`).
 *
 * @throws ServerError `engine_error` when the file is no model that this engine can serve, or there is too little memory;
 * the signal's reason when it was aborted
 */
export async function createLlamaCppEngine (options: LlamaCppEngineOptions): Promise<LlamaCppEngine> {
  const { laneCount, slotsPerLane, contextSize, maxStepTokens, signal } = options
  if (slotsPerLane > maxSlotsPerLane) {
    throw new ServerError('engine_error', `${slotsPerLane} slots per lane; llama.cpp's limit is ${maxSlotsPerLane}`)
  }
  const disposers: (() => Promise<void>)[] = []
  const dispose = async (): Promise<void> => {
    for (let next = disposers.pop(); next !== undefined; next = disposers.pop()) await next()
  }
  try {
    signal?.throwIfAborted()
    const complaints: string[] = []
    const logger = options.logger ?? silentLogger
    const source = await chooseBuild(options, logger)
    const backend = await loadNativeBackend(await chooseDevice(options, source, logger), source, noteComplaints(logger, complaints))
    disposers.push(async () => { backend.release() })
    const file = await readModelFile(options.modelPath, signal)
    assertLanguageModel(file, backend.bindings)
    const canGenerate = poolingIn(file) === null
    const embeddingPlan = planEmbeddings(file, options)
    const model = await loadModel(backend, options, file, embeddingPlan).catch((error: unknown) => {
      // The bindings say no more than that it failed.
      const [reason] = complaints
      throw reason === undefined ? error : new ServerError('engine_error', reason, { cause: error })
    })
    disposers.push(() => model.dispose())

    const native = nativeModelOf(model)
    const description = describeModel(native, file)
    assertContextSize(description, contextSize)
    const vocabularySize = description.vocabularySize
    const tokenizer = new LlamaCppTokenizer(native, vocabularyStyleOf(file), vocabularySize)
    const adapters = new Adapters(backend.bindings, native)
    disposers.push(() => adapters.dispose())
    const grammars = new Grammars(backend.bindings, native)
    const parts: SamplingParts = {
      bindings: backend.bindings,
      model: native,
      grammars,
      sequenceBreakers: new SequenceBreakers(tokenizer, vocabularySize),
      tokenizer,
      endTokens: endTokensOf(native, vocabularySize),
      vocabularySize
    }
    const draftModel = options.draftModelPath === undefined || !canGenerate ? null : await loadDraftModel(backend, options.draftModelPath, file, options)
    if (draftModel !== null) disposers.push(() => draftModel.dispose())
    const calibration = canGenerate ? options.calibrate : 'off'
    const { threads, flashAttention } = await settle(backend, native, model, parts.endTokens[0] ?? 0, { ...options, calibrate: calibration })
    const laneThreads = Math.max(1, Math.floor(threads / laneCount))
    const park = new CachePark(options.parkDirectory ?? null)
    disposers.push(() => park.dispose())
    const isOnGpu = backend.llama.gpu !== false && model.gpuLayers > 0
    const lanes: Lane[] = []
    for (let lane = 0; lane < (canGenerate ? laneCount : 0); lane++) {
      signal?.throwIfAborted()
      const setting = { threads: laneThreads, flashAttention }
      const context = await createContext(backend.bindings, native, options, setting)
      const drafter = await draftModel?.createDrafter(slotsPerLane, setting, parts, logger).catch(async (error: unknown) => {
        await context.dispose()
        throw error
      })
      const created = new Lane({
        id: asLaneId(lane),
        slotsPerLane,
        contextSize,
        maxStepTokens,
        threads: laneThreads,
        bridging: options.bridging ?? (isOnGpu ? 'always' : 'measured'),
        jobsRunInOrder: runsJobsInOrder(process.env),
        drafter: drafter ?? null,
        grammarDrawLimits: options.grammarDrawLimits ?? defaultGrammarDrawLimits,
        onStuck: options.onStuck ?? (() => {})
      }, context, parts, adapters, park)
      disposers.push(() => created.dispose())
      await created.warmUp()
      lanes.push(created)
    }
    signal?.throwIfAborted()
    const embedder = embeddingPlan === null ? null : await Embedder.create(embeddingPlan, { ...parts, file, threads: laneThreads, flashAttention })
    if (embedder !== null) disposers.push(() => embedder.dispose())
    const info: EngineInfo = {
      model: description,
      backend: 'llama-cpp',
      build: backend.build,
      placement: await placementOf(backend, model),
      isOnGpu,
      laneCount,
      slotsPerLane,
      contextSize,
      maxStepTokens,
      threads,
      flashAttention,
      endTokens: parts.endTokens,
      ...(draftModel === null ? {} : { draftModel: draftModel.info }),
      ...(canGenerate ? {} : { canGenerate }),
      ...(embedder === null ? {} : { embedding: embedder.info })
    }
    return new LlamaCppEngine({ info, tokenizer, lanes, embedder, adapters, grammars, dispose })
  } catch (error) {
    await dispose()
    signal?.throwIfAborted()
    throw ServerError.from(error, 'engine_error')
  }
}

/** Passes messages on; keeps those of errors. */
function noteComplaints (logger: EngineLogger, complaints: string[]): EngineLogger {
  return {
    ...logger,
    error: (details, message) => {
      // `llama_model_load: error loading model: …`, in front of which stands the function's name.
      if (complaints.length < 8) complaints.push(message.replace(/^\w+: /, ''))
      logger.error(details, message)
    }
  }
}

async function loadModel (
  backend: NativeBackend, options: LlamaCppEngineOptions, file: GgufFileInfo, embeddingPlan: EmbeddingPlan | null
): Promise<LlamaModel> {
  const { gpuLayers, contextSize, slotsPerLane, laneCount, signal, onProgress } = options
  return await backend.llama.loadModel({
    modelPath: options.modelPath,
    gpuLayers: gpuLayers === 'auto' ? { fitContext: { contextSize: contextSize * slotsPerLane * laneCount } } : gpuLayers,
    ...(embeddingPlan === null ? {} : { metadataOverrides: poolingOverrides(file, embeddingPlan) }),
    ...(signal === undefined ? {} : { loadSignal: signal }),
    ...(onProgress === undefined ? {} : { onLoadProgress: onProgress })
  })
}

/** Threads of all lanes, and the attention: as told, or by measurement. */
async function settle (
  backend: NativeBackend, native: NativeModel, model: LlamaModel, token: number, options: LlamaCppEngineOptions
): Promise<{ readonly threads: number, readonly flashAttention: boolean }> {
  const { laneCount, slotsPerLane, calibrate: wanted = 'off', logger = silentLogger, signal } = options
  const threads = options.threads === 'auto' ? Math.min(availableParallelism(), backend.llama.cpuMathCores) : options.threads
  const flashAttention = model.flashAttentionSupported && options.flashAttention !== false
  // A GPU has no use for threads, and always for attention in one pass.
  if (wanted === 'off' || backend.llama.gpu !== false) return { threads, flashAttention }

  const standard = { threads: Math.max(1, Math.floor(threads / laneCount)), flashAttention }
  const threadLimit = wanted === 'attention' || laneCount > 1
    ? null
    : backend.hasOpenMp ? options.openMpThreads ?? threads : threads
  await using gauge = new SpeedGauge({
    createContext: async (setting) =>
      await createContext(backend.bindings, native, { slotsPerLane, contextSize: cellsPerSlot, maxStepTokens: cellsPerSlot }, setting),
    slotsPerLane,
    token,
    now: () => performance.now()
  })
  const chosen = await calibrate({
    standard,
    threadLimit,
    slotsPerLane,
    key: calibrationKey(backend, options, standard, threadLimit),
    memory: new FactMemory(options.cacheFolder ?? null),
    measure: async (setting) => await gauge.measure(setting),
    logger,
    now: () => performance.now(),
    signal
  })
  return { threads: laneCount === 1 ? chosen.threads : threads, flashAttention: chosen.flashAttention }
}

/** What speeds depend on. The model by what shows that its file is another one. */
function calibrationKey (
  { build }: NativeBackend, { modelPath, laneCount, slotsPerLane }: LlamaCppEngineOptions, standard: object, threadLimit: number | null
): object {
  const { size, mtimeMs } = statSync(modelPath)
  return {
    // Of the measuring and the choosing.
    version: 2,
    model: { path: modelPath, size, mtimeMs },
    machine: { processor: cpus()[0]?.model ?? '', cores: availableParallelism(), architecture: process.arch },
    build,
    waitPolicy: process.env['OMP_WAIT_POLICY'] ?? null,
    standard,
    threadLimit,
    laneCount,
    slotsPerLane
  }
}

async function placementOf ({ llama }: NativeBackend, model: LlamaModel): Promise<string> {
  if (llama.gpu === false) return 'cpu'
  const devices = await llama.getGpuDeviceNames()
  return `${llama.gpu}: ${devices.join(', ')}, ${model.gpuLayers} of ${model.fileInsights.totalLayers} layers`
}
