import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import path from 'node:path'
import { z } from 'zod'
import type { Processor } from './processor.ts'

/** A llama.cpp that was compiled on a machine, instead of the one that npm installed. */
export interface LocalBuild {
  /** What it computes on beside the CPU. */
  readonly gpu: false | 'cuda' | 'vulkan' | 'metal'
  readonly folder: string
  /** Changes when it is compiled again. */
  readonly identity: string
  /** The processor that it was compiled for; null for builds that were made by hand. */
  readonly processor: Processor | null
}

/** As node-llama-cpp calls them. */
const platforms: Partial<Record<NodeJS.Platform, string>> = { linux: 'linux', darwin: 'mac', win32: 'win' }

const processorSchema = z.object({ architecture: z.string(), model: z.string(), features: z.array(z.string()) })
const noteName = 'drawbridge.json'

/** The folder of node-llama-cpp's package. */
export function bindingsFolder (): string {
  return path.dirname(path.dirname(createRequire(import.meta.url).resolve('node-llama-cpp')))
}

/** Where node-llama-cpp puts what it compiles, and looks for it. */
export const localBuildsFolder = (): string => path.join(bindingsFolder(), 'llama', 'localBuilds')

export function localBuildFolder (gpu: LocalBuild['gpu'], parent = localBuildsFolder()): string {
  return path.join(parent, [platforms[process.platform] ?? process.platform, process.arch, ...(gpu === false ? [] : [gpu])].join('-'))
}

/** Finished builds without options of their own, for this platform. One that is being compiled is not among them. */
export function findLocalBuilds (parent = localBuildsFolder()): readonly LocalBuild[] {
  return ([false, 'cuda', 'vulkan', 'metal'] as const).flatMap((gpu) => {
    const folder = localBuildFolder(gpu, parent)
    const sizes = ['buildDone.status', 'Release/_nlcBuildMetadata.json', 'Release/llama-addon.node'].map((file) => statSync(path.join(folder, file), { throwIfNoEntry: false }))
    if (sizes.includes(undefined)) return []
    const identity = sizes.map((file) => `${file?.size} ${file?.mtimeMs}`).join(', ')
    return [{ gpu, folder, identity, processor: readNote(folder) }]
  })
}

/** Notes what a build was compiled for, in its folder. */
export function noteProcessor (folder: string, processor: Processor): void {
  writeFileSync(path.join(folder, noteName), `${JSON.stringify({ processor }, null, 2)}\n`)
}

function readNote (folder: string): Processor | null {
  try {
    return z.object({ processor: processorSchema }).parse(JSON.parse(readFileSync(path.join(folder, noteName), 'utf8'))).processor
  } catch {
    return null
  }
}
