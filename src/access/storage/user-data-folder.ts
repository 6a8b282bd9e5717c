import path from 'node:path'

/**
 * Where the server keeps what must not be lost, after the XDG Base Directory Specification: `drawbridge` below `XDG_DATA_HOME`, which counts
 * only as an absolute path, else below `~/.local/share`. Null for users without a home.
 */
export function userDataFolder (environment: NodeJS.ProcessEnv, home: string): string | null {
  const wanted = environment['XDG_DATA_HOME']
  if (wanted !== undefined && path.isAbsolute(wanted)) return path.join(wanted, 'drawbridge')
  return path.isAbsolute(home) ? path.join(home, '.local', 'share', 'drawbridge') : null
}
