import { readFileSync, statSync } from 'node:fs'
import { StartupError } from '../domain/startup-error.ts'
import { fileErrorText } from '../domain/file-error-text.ts'

export interface KeyFile {
  readonly keys: readonly string[]
  readonly warnings: readonly string[]
}

/**
 * Reads API keys, one in each line; empty lines and lines that begin with `#` do not count.
 * @param source how the file was named, for messages: `--api-key-file`.
 * @throws StartupError when it cannot be read, has no key, or has one that no client could send.
 */
export function readKeyFile (file: string, source: string): KeyFile {
  let text: string
  let mode: number
  try {
    text = readFileSync(file, 'utf8')
    mode = statSync(file).mode
  } catch (error) {
    throw new StartupError(`The key file ${file} (${source}) cannot be read: ${fileErrorText(error)}`, { cause: error })
  }
  const keys: string[] = []
  for (const [index, line] of text.replace(/^\uFEFF/, '').split(/\r?\n/).entries()) {
    const key = line.trim()
    if (key === '' || key.startsWith('#')) continue
    if (!isSendableKey(key)) throw new StartupError(`Line ${index + 1} of the key file ${file} (${source}) ${unsendableKeyText}`)
    keys.push(key)
  }
  if (keys.length === 0) throw new StartupError(`The key file ${file} (${source}) has no key in it`)
  // Secrets of containers are mounted for all users there, and the container is the wall.
  const isMountedSecret = file.startsWith('/run/secrets/')
  const isWorldReadable = process.platform !== 'win32' && !isMountedSecret && (mode & 0o004) !== 0
  return {
    keys,
    warnings: isWorldReadable ? [`Every user of this machine can read the key file ${file}; chmod 600 ${file} keeps them out`] : []
  }
}

/** Whether a key can travel in an `Authorization` header as it is. */
export const isSendableKey = (key: string): boolean => /^[\x21-\x7E]+$/.test(key)

/** The end of a sentence about a key that is not sendable. */
export const unsendableKeyText = 'is not a key: keys are printable ASCII characters without spaces'
