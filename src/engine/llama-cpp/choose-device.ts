import { release } from 'node:os'
import { getLlamaGpuTypes, getModuleVersion } from 'node-llama-cpp'
import { ServerError } from '../../domain/errors.ts'
import { readText } from '../../domain/read-text.ts'
import type { EngineLogger, LlamaCppEngineOptions } from './engine-options.ts'
import { FactMemory } from './fact-memory.ts'
import { findLocalBuilds, type LocalBuild } from './local-builds.ts'
import { type BuildSource, type GpuChoice, gpuNames, type GpuKind } from './native.ts'
import { TrialDeath, tryBuild } from './try-build.ts'
import { tryOnce } from './try-once.ts'

export interface ChooseDeviceParts {
  readonly builds: readonly LocalBuild[]
  /** For which there is a library and a driver, the best first. */
  readonly findDevices: () => Promise<ReadonlyArray<GpuKind | false>>
  readonly try: typeof tryBuild
}

/** A GPU that is full now need not be when the model is loaded, for which as much is taken as there is room. */
const isFull = /out of memory/i

/**
 * Which device to load llama.cpp for. A driver may be too old for the code that npm installed, or the device too old or too new; llama.cpp finds that out when
 * it computes, and ends the process. So it has to decode in a process of its own first; a trial that went well is remembered.
 * @param source where llama.cpp comes from
 * @throws ServerError `engine_error` when code for the device that was asked for does not run here
 */
export async function chooseDevice (
  options: Pick<LlamaCppEngineOptions, 'gpu' | 'trialModelPath' | 'cacheFolder'>, source: BuildSource, logger: EngineLogger,
  parts: Partial<ChooseDeviceParts> = {}
): Promise<GpuChoice> {
  const { gpu, trialModelPath, cacheFolder = null } = options
  if (gpu === 'off' || source === 'local' || trialModelPath === undefined) return gpu
  const findDevices = parts.findDevices ?? (async () => await getLlamaGpuTypes('supported'))
  const memory = new FactMemory(cacheFolder)
  let isOneUnusable = false
  for (const device of gpu === 'auto' ? await findDevices() : [gpu]) {
    if (device === false) continue
    // What was built here was tried when it was chosen.
    if (source === 'either' && (parts.builds ?? findLocalBuilds()).some((build) => build.gpu === device)) return device
    const key = {
      device, module: await getModuleVersion(), driver: readText('/proc/driver/nvidia/version'), system: release(), node: process.version
    }
    try {
      await tryOnce(memory, 'gpu', key, { source: 'prebuilt', gpu: device, modelPath: trialModelPath, threads: 1 }, parts.try ?? tryBuild)
      return device
    } catch (error) {
      // That there is no such device, for example, is said when the library is loaded.
      if (!(error instanceof TrialDeath) || isFull.test(error.message)) continue
      const advice = `a newer driver may be what is missing, or a build of this machine's own (npm run build:native -- --gpu ${device})`
      if (gpu !== 'auto') {
        throw new ServerError('engine_error', `--gpu is ${gpu}, but llama.cpp's code for ${gpuNames[device]} does not run here: ${error.message}; ${advice}`, { cause: error })
      }
      isOneUnusable = true
      logger.warn({ device, reason: error.message },
        `the GPU is not used: llama.cpp's code for ${gpuNames[device]} does not run here (${error.message}); ${advice}; --gpu off leaves it out`)
    }
  }
  return isOneUnusable ? 'off' : gpu
}
