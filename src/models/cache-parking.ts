import { access, constants, rm, statfs } from 'node:fs/promises'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Config } from '../config/config.ts'
import { StartupError } from '../domain/startup-error.ts'
import { removeLeftovers } from './remove-leftovers.ts'

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
