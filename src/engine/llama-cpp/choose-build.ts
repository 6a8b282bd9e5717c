import { release } from 'node:os'
import { readText } from '../../domain/read-text.ts'
import type { EngineLogger, LlamaCppEngineOptions } from './engine-options.ts'
import { FactMemory } from './fact-memory.ts'
import { findLocalBuilds, type LocalBuild } from './local-builds.ts'
import type { BuildSource } from './native.ts'
import { describeProcessor, type Processor, whyUnfit } from './processor.ts'
import { tryBuild } from './try-build.ts'
import { tryOnce } from './try-once.ts'

export interface ChooseBuildParts {
  readonly builds: readonly LocalBuild[]
  readonly processor: Processor
  readonly try: typeof tryBuild
}

/**
 * Which llama.cpp to load. A build of this machine's own is taken if there is one that works: it was made for a processor
 * that has no more than this one, and it has decoded in a process of its own. A trial that went well is remembered.
 */
export async function chooseBuild (
  options: Pick<LlamaCppEngineOptions, 'build' | 'trialModelPath' | 'cacheFolder' | 'gpu'>, logger: EngineLogger,
  parts: Partial<ChooseBuildParts> = {}
): Promise<BuildSource> {
  const { build = 'prebuilt', trialModelPath, cacheFolder = null } = options
  if (build !== 'auto') return build
  const builds = (parts.builds ?? findLocalBuilds()).filter(({ gpu }) => mayBeLoaded(gpu, options.gpu))
  if (builds.length === 0) return 'prebuilt'
  const memory = new FactMemory(cacheFolder)
  const processor = parts.processor ?? describeProcessor(readText)
  for (const local of builds) {
    const reason = await whyUnusable(local, { processor, memory, trialModelPath, tryBuild: parts.try ?? tryBuild })
    if (reason === null) continue
    logger.warn({ folder: local.folder, reason }, `the native build of llama.cpp is not used, because ${reason}; ` +
      'npm run build:native builds it anew, --native-build off leaves it out')
    return 'prebuilt'
  }
  return 'either'
}

/** With `auto`, the bindings go from the strongest device to the CPU, and take for each a local build before a prebuilt one. */
const mayBeLoaded = (gpu: LocalBuild['gpu'], wanted: LlamaCppEngineOptions['gpu']): boolean =>
  wanted === 'auto' || deviceOf(gpu) === wanted

const deviceOf = (gpu: LocalBuild['gpu']) => gpu === false ? 'off' : gpu

interface Judge {
  readonly processor: Processor
  readonly memory: FactMemory
  readonly trialModelPath: string | undefined
  readonly tryBuild: typeof tryBuild
}

async function whyUnusable (local: LocalBuild, { processor, memory, trialModelPath, tryBuild }: Judge): Promise<string | null> {
  const unfit = local.processor === null ? null : whyUnfit(local.processor, processor)
  if (unfit !== null) return unfit
  if (trialModelPath === undefined) return 'there is no model to try it with'
  // Whatever may make a build fail that worked before: another processor, system or Node.
  const key = { folder: local.folder, identity: local.identity, processor, system: release(), node: process.version }
  try {
    await tryOnce(memory, 'native-build', key, { source: 'local', gpu: deviceOf(local.gpu), modelPath: trialModelPath, threads: 1 }, tryBuild)
    return null
  } catch (error) {
    // Not remembered: a machine short of memory may be better off next time.
    return error instanceof Error ? error.message : String(error)
  }
}
