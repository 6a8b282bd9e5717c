import type { GgufFileInfo, LlamaModel } from 'node-llama-cpp'
import { ServerError } from '../../domain/errors.ts'
import { vocabularyDifference } from '../../domain/vocabulary-difference.ts'
import type { DraftModelInfo } from '../engine.ts'
import type { ComputeSetting } from './choose-setting.ts'
import { createContext } from './create-context.ts'
import { draftBatchSize, Drafter } from './drafter.ts'
import type { EngineLogger, LlamaCppEngineOptions } from './engine-options.ts'
import { assertGenerativeModel, describeModel, vocabularyOf } from './model-info.ts'
import { nativeModelOf, readModelFile, type NativeBackend, type NativeModel } from './native.ts'
import type { SamplingParts } from './slot-sampler.ts'

/** The weights of a second, smaller model that makes guesses for the lanes of the first. */
export class DraftModel {
  readonly info: DraftModelInfo
  readonly #backend: NativeBackend
  readonly #model: LlamaModel
  readonly #native: NativeModel
  readonly #vocabularySize: number
  readonly #contextSize: number

  /** Use {@link loadDraftModel}. */
  constructor (backend: NativeBackend, model: LlamaModel, file: GgufFileInfo, contextSize: number) {
    this.#backend = backend
    this.#model = model
    this.#native = nativeModelOf(model)
    const { name, parameterCount, sizeBytes, vocabularySize, trainContextSize } = describeModel(this.#native, file)
    this.info = { name, parameterCount, sizeBytes }
    this.#vocabularySize = vocabularySize
    // Beyond what it was trained on it would only guess wrong, and some models cannot count further.
    this.#contextSize = Math.min(contextSize, trainContextSize)
  }

  /**
   * @param parts of the model that is drafted for
   * @throws ServerError `engine_error` when there is not enough memory
   */
  async createDrafter (slotsPerLane: number, setting: ComputeSetting, parts: SamplingParts, logger: EngineLogger): Promise<Drafter> {
    const shape = { slotsPerLane, contextSize: this.#contextSize, maxStepTokens: draftBatchSize(slotsPerLane) }
    const context = await createContext(this.#backend.bindings, this.#native, shape, {
      ...setting, flashAttention: setting.flashAttention && this.#model.flashAttentionSupported
    })
    return new Drafter({
      slotsPerLane,
      contextSize: this.#contextSize,
      vocabularySize: Math.min(this.#vocabularySize, parts.vocabularySize),
      threads: setting.threads,
      logger
    }, context, { ...parts, model: this.#native, vocabularySize: this.#vocabularySize })
  }

  async dispose (): Promise<void> {
    await this.#model.dispose()
  }
}

/**
 * @param modelFile of the model that is drafted for
 * @throws ServerError `engine_error`, which names the option, when the file cannot be used or is none of the same vocabulary
 */
export async function loadDraftModel (
  backend: NativeBackend, path: string, modelFile: GgufFileInfo, options: LlamaCppEngineOptions
): Promise<DraftModel> {
  const { contextSize, slotsPerLane, laneCount, gpuLayers, signal } = options
  try {
    const file = await readModelFile(path, signal)
    assertGenerativeModel(file, backend.bindings)
    const difference = vocabularyDifference(vocabularyOf(file), vocabularyOf(modelFile))
    if (difference !== null) throw new ServerError('engine_error', `its ${difference}`)
    const model = await backend.llama.loadModel({
      modelPath: path,
      // What stays on the CPU of the model is not to wait for a draft that does too.
      gpuLayers: gpuLayers === 0 ? 0 : gpuLayers === 'auto' ? { fitContext: { contextSize: contextSize * slotsPerLane * laneCount } } : 'max',
      ...(signal === undefined ? {} : { loadSignal: signal })
    })
    return new DraftModel(backend, model, file, contextSize)
  } catch (error) {
    signal?.throwIfAborted()
    throw new ServerError('engine_error', `The draft model ${path} (--draft-model) cannot be used: ${(error as Error).message}`, { cause: error })
  }
}
