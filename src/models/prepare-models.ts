import { homedir } from 'node:os'
import type { Config } from '../config/config.ts'
import type { AnswerLength } from '../domain/answer-length.ts'
import { answerLengthOf } from './answer-length-of.ts'
import type { Capacity, CapacityOptions } from './capacity.ts'
import type { Machine } from './machine.ts'
import type { ModelFile } from './model-file.ts'
import type { EngineSpec } from '../inference/protocol.ts'
import { StartupError } from '../domain/startup-error.ts'
import { chooseCapacity, chooseFakeCapacity } from './capacity.ts'
import { readModel } from './model-file.ts'
import { type PreparedDraft, prepareDraft } from './prepare-draft.ts'
import { demoModelPath, findModel } from './model-source.ts'
import { userCacheFolder } from './user-cache-folder.ts'

/** A model that is found, checked and fitted into memory, and can be loaded. */
export interface PreparedModel {
  /** Its name in the API. */
  readonly id: string
  /** Where it came from: `demo`, `fake`, or a file's path. */
  readonly root: string
  /** Null for the fake engine. */
  readonly file: ModelFile | null
  /** Null where it has none, or nothing is to be guessed. */
  readonly draft: PreparedDraft | null
  /** All parts in their order; none of the fake engine. */
  readonly paths: readonly string[]
  readonly capacity: Capacity
  readonly engine: EngineSpec
  readonly toolDialect: Config['toolDialect']
  readonly answerLength: AnswerLength
}

/**
 * Prepares all configured models, in their order; each takes from the memory that those before it leave.
 * @throws StartupError when one of them cannot be served.
 */
export async function prepareModels (
  config: Config, machine: Machine, sourceOf: NonNullable<CapacityOptions['sourceOf']>
): Promise<readonly PreparedModel[]> {
  const prepared: PreparedModel[] = []
  const place = sourceOf('model')
  const draftPlace = sourceOf('draft-model')
  /** Says where the model was configured, when that is not the command line that the reader has before their eyes. */
  const namingPlace = <Found>(find: () => Found): Found => {
    try {
      return find()
    } catch (error) {
      if (place === '--model' || !(error instanceof StartupError)) throw error
      throw new StartupError(`${error.message} (${place})`, { cause: error })
    }
  }
  let takenBytes = 0
  for (const { ref, alias, draftModel, toolDialect = config.toolDialect, embeddings = config.embeddings, ...model } of config.models) {
    const answerLength = answerLengthOf(model, config)
    const source = namingPlace(() => findModel(ref))
    const id = alias ?? source.id
    const other = prepared.find((model) => model.id === id)
    if (other !== undefined) {
      throw new StartupError(`Two models are called "${id}" (${other.root} and ${source.root}); give one of them another name with --alias`)
    }
    const draftRef = config.speculate === 'off' ? null : draftModel
    if (source.type === 'fake') {
      const draft = draftRef === null ? null : await prepareDraft(draftRef, null, draftPlace)
      const capacity = chooseFakeCapacity(config, machine)
      prepared.push({ id, root: source.root, file: null, paths: [], draft, capacity, engine: fakeEngine(config, capacity, draft !== null, embeddings), toolDialect, answerLength })
      continue
    }
    const read = await readModel(source.paths).catch((error: unknown) => namingPlace(() => { throw error }))
    const { file } = read
    if (file.pooling !== null && draftRef !== null) {
      throw new StartupError(`${draftPlace} is for models that write text, but the model file ${file.path} is an embedding model (${file.architecture})`)
    }
    const draft = draftRef === null ? null : await prepareDraft(draftRef, read, draftPlace)
    const capacity = chooseCapacity(file, { ...config, embeddings }, machine, { takenBytes, sourceOf, draft: draft?.file ?? null })
    takenBytes += capacity.estimate?.totalBytes ?? 0
    prepared.push({ id, root: source.root, file, paths: source.paths, draft, capacity, engine: llamaCppEngine(config, file, draft, capacity, machine, embeddings), toolDialect, answerLength })
  }
  return prepared
}

function fakeEngine (config: Config, capacity: Capacity, hasDraftModel: boolean, embeds: boolean): EngineSpec {
  const { draftAcceptance, ...fake } = config.fake
  return { backend: 'fake', options: { ...shapeOf(capacity), ...fake, ...(hasDraftModel ? { draftAcceptance } : {}), ...(embeds ? { embeddings: 'mean' } : {}) } }
}

function llamaCppEngine (
  config: Config, file: ModelFile, draft: PreparedDraft | null, capacity: Capacity, machine: Machine, embeddings: boolean
): EngineSpec {
  return {
    backend: 'llama-cpp',
    options: {
      modelPath: file.path,
      draftModelPath: draft?.file?.path,
      gpu: config.gpu,
      gpuLayers: config.gpuLayers,
      build: config.nativeBuild === 'auto' ? 'auto' : 'prebuilt',
      trialModelPath: demoModelPath(),
      cacheFolder: userCacheFolder(process.env, homedir()),
      embeddings,
      ...shapeOf(capacity),
      ...calibrationOf(config, machine)
    }
  }
}

/** What was set is not for a measurement to change. */
const calibrationOf = ({ calibrate, threads }: Config, machine: Machine) =>
  ({ calibrate: calibrate === 'off' ? 'off' : threads === 'auto' ? 'all' : 'attention', openMpThreads: machine.openMpThreads } as const)

const shapeOf = ({ laneCount, slotsPerLane, contextSize, stepTokens, threads }: Capacity) =>
  ({ laneCount, slotsPerLane, contextSize, maxStepTokens: stepTokens, threads })
