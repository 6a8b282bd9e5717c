import { readdir, stat } from 'node:fs/promises'
import path from 'node:path'
import { peftConfigName } from './sources/local-files.ts'

/** Something in a folder that may be an adapter. */
export interface FoundAdapter {
  readonly name: string
  readonly path: string
  /** Another one when anything of it has changed. */
  readonly fingerprint: string
  /** When it last changed; milliseconds since 1970. */
  readonly changedAt: number
}

/**
 * Finds `NAME.gguf`, and folders `NAME` with an `adapter_config.json`. What begins with a dot is not for us: programs that copy files
 * call them so until they are whole.
 * @throws what reading the folder throws; files that come and go meanwhile are no error
 */
export async function scanAdapterFolder (folder: string): Promise<readonly FoundAdapter[]> {
  const found = new Map<string, FoundAdapter>()
  for (const entry of (await readdir(folder)).sort()) {
    if (entry.startsWith('.')) continue
    const file = path.join(folder, entry)
    const stats = await stat(file, { bigint: true }).catch(() => null)
    if (stats === null) continue
    const isGguf = stats.isFile() && /\.gguf$/i.test(entry)
    const adapter = isGguf
      ? { name: entry.replace(/\.gguf$/i, ''), path: file, fingerprint: fingerprintOf(stats), changedAt: Number(stats.mtimeMs) }
      : stats.isDirectory() ? await scanPeftFolder(entry, file) : null
    // A file and a folder of one name: the file is the one that needs no conversion.
    if (adapter !== null && (isGguf || !found.has(adapter.name))) found.set(adapter.name, adapter)
  }
  return [...found.values()]
}

async function scanPeftFolder (name: string, folder: string): Promise<FoundAdapter | null> {
  const files = await readdir(folder).catch((): string[] => [])
  if (!files.includes(peftConfigName)) return null
  const all = await Promise.all(files.filter((file) => /\.(?:json|safetensors)$/.test(file)).sort().map(async (file) => {
    const stats = await stat(path.join(folder, file), { bigint: true }).catch(() => null)
    return stats === null ? null : { file, print: fingerprintOf(stats), changedAt: Number(stats.mtimeMs) }
  }))
  const parts = all.filter((part) => part !== null)
  return { name, path: folder, fingerprint: parts.map(({ file, print }) => `${file}=${print}`).join(), changedAt: Math.max(...parts.map(({ changedAt }) => changedAt)) }
}

const fingerprintOf = ({ ino, size, mtimeNs }: { readonly ino: bigint, readonly size: bigint, readonly mtimeNs: bigint }): string => `${ino}:${size}:${mtimeNs}`
