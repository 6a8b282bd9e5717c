import { execFile } from 'node:child_process'
import os from 'node:os'
import { promisify } from 'node:util'
import { readText } from '../domain/read-text.ts'
import { availableMemory } from './available-memory.ts'
import { countComputeThreads, countOpenMpThreads } from './compute-threads.ts'

export interface Machine {
  /** Memory that this process may still take without swapping, in bytes. */
  readonly availableBytes: number
  /** Whether the machine or the container it runs in sets that limit. */
  readonly memoryLimit: 'machine' | 'container'
  /** Free memory of the NVIDIA GPUs together; null where there is none, or its tools are not installed. */
  readonly gpu: { readonly name: string, readonly freeBytes: number } | null
  /** How many threads to compute with, at least 1. */
  readonly computeThreads: number
  /** The same where late threads do not make the others spin; at least `computeThreads`. */
  readonly openMpThreads: number
}

/** Looks at the machine: memory, processor and, unless it is not wanted, NVIDIA GPUs. */
export async function inspectMachine (options: { readonly withGpu: boolean }): Promise<Machine> {
  const memory = availableMemory(readText, { platform: process.platform, totalBytes: os.totalmem(), freeBytes: os.freemem() })
  return {
    ...memory,
    gpu: options.withGpu ? await nvidiaMemory() : null,
    computeThreads: countComputeThreads(readText, os.availableParallelism(), process.arch),
    openMpThreads: countOpenMpThreads(readText, os.availableParallelism(), process.arch)
  }
}

async function nvidiaMemory (): Promise<Machine['gpu']> {
  try {
    const { stdout } = await promisify(execFile)('nvidia-smi',
      ['--query-gpu=name,memory.free', '--format=csv,noheader,nounits'], { timeout: 5000 })
    return parseNvidiaMemory(stdout)
  } catch {
    return null
  }
}

/** Reads `NVIDIA H200, 142345` lines; memory is in MiB. */
export function parseNvidiaMemory (text: string): Machine['gpu'] {
  const devices = text.split('\n').flatMap((line) => {
    const [, name, free] = /^(.+), *(\d+)\s*$/.exec(line.trim()) ?? []
    return name === undefined ? [] : [{ name, freeBytes: Number(free) * 1024 ** 2 }]
  })
  const [first] = devices
  if (first === undefined) return null
  return {
    name: devices.length === 1 ? first.name : `${devices.length} × ${first.name}`,
    freeBytes: devices.reduce((sum, device) => sum + device.freeBytes, 0)
  }
}
