import type { ReadText } from './available-memory.ts'
import { ancestors, wholeNumber } from './available-memory.ts'

/**
 * How many threads to compute with: the physical cores that this process may use, but one less than there are logical ones.
 *
 * Not the two halves of a hyperthreaded core: they share the units that matrix products keep busy, and each more thread is
 * one more to wait for at every barrier. And one left over for the server, the kernel and whoever else: llama.cpp's threads
 * spin at their barriers, so a step waits a whole time slice of the operating system whenever one of them is not running. On
 * a machine of two cores, two threads gave a client over HTTP 10 tokens/s where one gave 250 to 450 (demo model).
 *
 * On Linux the processor affinity and the control groups' CPU quota count as well. At least 1.
 *
 * @param parallelism `os.availableParallelism()`, the logical cores.
 * @param architecture `process.arch`; where nothing better is known, x86 is taken to have two threads in each core.
 */
export function countComputeThreads (readText: ReadText, parallelism: number, architecture: string): number {
  const { physical, logical } = countCores(readText, parallelism, architecture)
  return Math.max(1, Math.min(physical, logical - 1))
}

/**
 * How many threads may be tried where they sleep when one of them is late (OpenMP): the physical cores that this process
 * may use, with none left over.
 */
export function countOpenMpThreads (readText: ReadText, parallelism: number, architecture: string): number {
  const { physical, logical } = countCores(readText, parallelism, architecture)
  return Math.max(1, Math.min(physical, logical))
}

function countCores (readText: ReadText, parallelism: number, architecture: string): { readonly physical: number, readonly logical: number } {
  return {
    physical: linuxCores(readText) ?? (architecture === 'x64' ? Math.ceil(parallelism / 2) : parallelism),
    logical: Math.min(parallelism, Math.floor(cpuQuota(readText) ?? Infinity))
  }
}

/** Distinct cores among the CPUs this process may run on; null where Linux does not say. */
function linuxCores (readText: ReadText): number | null {
  const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readText('/proc/self/status') ?? '')?.[1]
  if (allowed === undefined) return null
  const cores = new Set<string>()
  for (const cpu of expandList(allowed)) {
    const siblings = readText(`/sys/devices/system/cpu/cpu${cpu}/topology/thread_siblings_list`)
    if (siblings === null) return null
    cores.add(siblings.trim())
  }
  return cores.size === 0 ? null : cores.size
}

/** `0-2,5` -> 0, 1, 2, 5. */
function expandList (list: string): readonly number[] {
  return list.split(',').flatMap((range) => {
    const [from = NaN, to = from] = range.split('-').map(Number)
    return Number.isInteger(from) && Number.isInteger(to) && to >= from && to - from < 8192
      ? Array.from({ length: to - from + 1 }, (_, offset) => from + offset)
      : []
  })
}

/** CPUs' worth of time that the strictest control group grants; null without a quota. */
function cpuQuota (readText: ReadText): number | null {
  const groups = readText('/proc/self/cgroup') ?? ''
  const quotas: number[] = []
  for (const group of ancestors(/^0::(\/.*)$/m.exec(groups)?.[1] ?? '/')) {
    const [, quota, period] = /^(\d+) (\d+)$/.exec(readText(`/sys/fs/cgroup${group}/cpu.max`)?.trim() ?? '') ?? []
    if (quota !== undefined) quotas.push(Number(quota) / Number(period))
  }
  for (const group of ancestors(/^\d+:(?:[^:]*,)?cpu(?:,[^:]*)?:(\/.*)$/m.exec(groups)?.[1] ?? '/')) {
    const quota = wholeNumber(readText(`/sys/fs/cgroup/cpu${group}/cpu.cfs_quota_us`))
    const period = wholeNumber(readText(`/sys/fs/cgroup/cpu${group}/cpu.cfs_period_us`))
    if (quota !== null && period !== null) quotas.push(quota / period)
  }
  return quotas.length === 0 ? null : Math.min(...quotas)
}
