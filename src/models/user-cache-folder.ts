import path from 'node:path'

/**
 * Where the server may keep what it can find out again, after the XDG Base Directory Specification: `drawbridge` below
 * `XDG_CACHE_HOME`, which counts only as an absolute path, else below `~/.cache`. Null for users without a home.
 */
export function userCacheFolder (environment: NodeJS.ProcessEnv, home: string): string | null {
  const wanted = environment['XDG_CACHE_HOME']
  if (wanted !== undefined && path.isAbsolute(wanted)) return path.join(wanted, 'drawbridge')
  return path.isAbsolute(home) ? path.join(home, '.cache', 'drawbridge') : null
}
