import { access, constants, readdir, rm, statfs } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../config/config.ts'
import { StartupError } from '../domain/startup-error.ts'

/** Where the models of a server save the caches of slots that are given away, and how many bytes of them each. */
export interface CacheParking {
  /** Of each model; 0 saves nothing. */
  readonly bytes: number
  /** A folder for each model, by its number; its engine makes it when there is something to save. */
  readonly directoryOf: (model: number) => string | null
  /** Removes all folders. The engines have ended. */
  readonly dispose: () => Promise<void>
}

/** Of the memory that the models leave, and of the room on the disk. */
const memoryShare = 1 / 8
const diskShare = 1 / 2

/**
 * Finds the room for saved caches, and removes what servers of this machine left that were killed.
 * @param freeBytes memory that the models leave
 * @throws StartupError when a size or a folder was asked for, and nothing can be written there
 */
export async function prepareCacheParking (
  { parkCache, parkDir }: Pick<Config, 'parkCache' | 'parkDir'>, models: number, freeBytes: number, sourceOf: (flag: string) => string
): Promise<CacheParking> {
  if (parkCache === 'off') return noParking
  const parent = parkDir === 'auto' ? tmpdir() : parkDir
  // Containers that share a folder have names of their own, but not process ids.
  const prefix = `drawbridge-caches-${hostname()}-`
  try {
    await access(parent, constants.W_OK | constants.X_OK)
    await removeLeftovers(parent, prefix)
    const { bavail, bsize } = await statfs(parent)
    const roomBytes = Math.max(0, Math.min(freeBytes * memoryShare, bavail * bsize * diskShare))
    const directoryOf = (model: number): string => join(parent, `${prefix}${process.pid}-${model}`)
    return {
      bytes: parkCache === 'auto' ? Math.floor(roomBytes / models) : parkCache,
      directoryOf,
      dispose: async () => {
        for (let model = 0; model < models; model++) await rm(directoryOf(model), { recursive: true, force: true })
      }
    }
  } catch (error) {
    // Nobody asked for it, and a server with read-only disks works without.
    if (parkCache === 'auto' && parkDir === 'auto') return noParking
    throw new StartupError(`${sourceOf('park-dir')}: caches cannot be saved in ${parent} (${(error as Error).message}); ` +
      'give another folder, or --park-cache off', { cause: error })
  }
}

const noParking: CacheParking = { bytes: 0, directoryOf: () => null, dispose: async () => {} }

async function removeLeftovers (parent: string, prefix: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = name.startsWith(prefix) ? /^(\d+)-\d+$/.exec(name.slice(prefix.length))?.[1] : undefined
    // Another user's stay; they are not ours to remove.
    if (pid !== undefined && !isOfOther(Number(pid))) await rm(join(parent, name), { recursive: true, force: true }).catch(() => {})
  }
}

/** Whether a server that runs has this process id. Nothing of this one's own is there yet: in a container the last one had the same. */
function isOfOther (pid: number): boolean {
  if (pid === process.pid) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH'
  }
}
