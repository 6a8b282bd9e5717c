/** Returns a file's text, or null when it cannot be read. */
export type ReadText = (file: string) => string | null

export interface SystemMemory {
  readonly platform: string
  readonly totalBytes: number
  readonly freeBytes: number
}

/**
 * Memory that can still be taken without swapping. On Linux that is what the kernel estimates (`MemAvailable`, which
 * counts the page cache as free; `os.freemem` in older Nodes does not), or what the control groups leave, if less. A
 * container's limit counts without its page cache for the same reason. macOS reports as free only what has never been
 * used, so three quarters of all memory stand in there, which is also what Metal allows a program to use.
 */
export function availableMemory (readText: ReadText, system: SystemMemory): { readonly availableBytes: number, readonly memoryLimit: 'machine' | 'container' } {
  const machineBytes = machineMemory(readText, system)
  const groupBytes = controlGroupMemory(readText, system.totalBytes)
  return groupBytes !== null && groupBytes < machineBytes
    ? { availableBytes: groupBytes, memoryLimit: 'container' }
    : { availableBytes: machineBytes, memoryLimit: 'machine' }
}

function machineMemory (readText: ReadText, { platform, totalBytes, freeBytes }: SystemMemory): number {
  if (platform === 'darwin') return Math.max(freeBytes, totalBytes * 0.75)
  const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(readText('/proc/meminfo') ?? '')?.[1]
  return kibibytes === undefined ? freeBytes : Number(kibibytes) * 1024
}

/** What the strictest control group above this process leaves; null without a limit. */
function controlGroupMemory (readText: ReadText, totalBytes: number): number | null {
  const groups = readText('/proc/self/cgroup') ?? ''
  const unified = /^0::(\/.*)$/m.exec(groups)?.[1]
  const memory = /^\d+:(?:[^:]*,)?memory(?:,[^:]*)?:(\/.*)$/m.exec(groups)?.[1]
  const left: number[] = []
  const note = (folder: string, limitFile: string, usedFile: string, cacheKeys: readonly string[]): void => {
    const limit = wholeNumber(readText(`${folder}/${limitFile}`))
    const used = wholeNumber(readText(`${folder}/${usedFile}`))
    // "max", or the largest number there is, means no limit.
    if (limit === null || used === null || limit >= totalBytes) return
    const statistics = readText(`${folder}/memory.stat`) ?? ''
    const cached = cacheKeys.reduce((sum, key) => sum + Number(new RegExp(`^${key} (\\d+)$`, 'm').exec(statistics)?.[1] ?? 0), 0)
    left.push(Math.max(0, limit - Math.max(0, used - cached)))
  }
  for (const group of ancestors(unified ?? '/')) {
    note(`/sys/fs/cgroup${group}`, 'memory.max', 'memory.current', ['inactive_file', 'active_file'])
  }
  for (const group of ancestors(memory ?? '/')) {
    note(`/sys/fs/cgroup/memory${group}`, 'memory.limit_in_bytes', 'memory.usage_in_bytes', ['total_inactive_file', 'total_active_file'])
  }
  return left.length === 0 ? null : Math.min(...left)
}

/** `/a/b` -> `/a/b`, `/a` and the empty path of the root. */
export function ancestors (group: string): readonly string[] {
  const names = group.split('/').filter((name) => name !== '' && name !== '..')
  return Array.from({ length: names.length + 1 }, (_, dropped) =>
    names.slice(0, names.length - dropped).map((name) => `/${name}`).join(''))
}

export function wholeNumber (text: string | null): number | null {
  const trimmed = text?.trim() ?? ''
  return /^\d+$/.test(trimmed) ? Number(trimmed) : null
}
