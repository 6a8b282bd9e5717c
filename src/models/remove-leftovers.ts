import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** What follows a prefix: a process id, and a number or a UUID. Nothing looser, for the names of other machines may begin with ours. */
const leftover = /^(\d+)-(?:\d+|[0-9a-f]{8}-[0-9a-f-]{27})$/

/**
 * Removes the folders that servers of this machine left which were killed. To be called before this server makes its own. What cannot
 * be removed stays: another user's is not ours to remove.
 * @param prefix of their names, up to the process id; it holds the host's name, as containers that share a folder have the same process ids
 * @throws Error when the folder that they are in cannot be read
 */
export async function removeLeftovers (parent: string, prefix: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const pid = name.startsWith(prefix) ? leftover.exec(name.slice(prefix.length))?.[1] : undefined
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
