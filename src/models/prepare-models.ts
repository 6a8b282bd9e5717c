import { homedir } from 'node:os'
import type { Config } from '../config/config.ts'
import type { Capacity, CapacityOptions } from './capacity.ts'
import type { Machine } from './machine.ts'
import type { ModelFile } from './model-file.ts'
import type { EngineSpec } from '../inference/protocol.ts'
import { StartupError } from '../domain/startup-error.ts'
import { chooseCapacity, chooseFakeCapacity } from './capacity.ts'
import { readModelFile } from './model-file.ts'
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
  readonly capacity: Capacity
  readonly engine: EngineSpec
  readonly toolDialect: Config['toolDialect']
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
  for (const { ref, alias, toolDialect = config.toolDialect } of config.models) {
    const source = namingPlace(() => findModel(ref))
    const id = alias ?? source.id
    const other = prepared.find((model) => model.id === id)
    if (other !== undefined) {
      throw new StartupError(`Two models are called "${id}" (${other.root} and ${source.root}); give one of them another name with --alias`)
    }
    if (source.type === 'fake') {
      const capacity = chooseFakeCapacity(config, machine)
      prepared.push({ id, root: source.root, file: null, capacity, engine: fakeEngine(config, capacity), toolDialect })
      continue
    }
    const file = await readModelFile(source.paths).catch((error: unknown) => namingPlace(() => { throw error }))
    const capacity = chooseCapacity(file, config, machine, { takenBytes, sourceOf })
    takenBytes += capacity.estimate?.totalBytes ?? 0
    prepared.push({ id, root: source.root, file, capacity, engine: llamaCppEngine(config, file, capacity, machine), toolDialect })
  }
  return prepared
}

function fakeEngine (config: Config, capacity: Capacity): EngineSpec {
  return { backend: 'fake', options: { ...shapeOf(capacity), ...config.fake } }
}

function llamaCppEngine (config: Config, file: ModelFile, capacity: Capacity, machine: Machine): EngineSpec {
  return {
    backend: 'llama-cpp',
    options: {
      modelPath: file.path,
      gpu: config.gpu,
      gpuLayers: config.gpuLayers,
      build: config.nativeBuild === 'auto' ? 'auto' : 'prebuilt',
      trialModelPath: demoModelPath(),
      cacheFolder: userCacheFolder(process.env, homedir()),
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
