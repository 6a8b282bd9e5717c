import { constants, copyFile, realpath, stat } from 'node:fs/promises'
import path from 'node:path'
import { ServerError } from '../../domain/errors.ts'
import { fileErrorText } from '../../domain/file-error-text.ts'
import { byteText } from '../../models/byte-text.ts'

export interface LocalFileOptions {
  /** Where the copy goes. */
  readonly folder: string
  readonly maxSizeBytes: number
  /** Nothing outside of it is touched, whatever links lead out; null trusts the path. */
  readonly jail: string | null
}

/** The file that makes a folder an adapter. */
export const peftConfigName = 'adapter_config.json'
const peftFileNames = [peftConfigName, 'adapter_model.safetensors']

/**
 * Copies an adapter's file, so that what is checked is what is loaded, whatever is done to the original. A PEFT folder stays where it is,
 * since the file that is loaded is made of it.
 * @returns the copy, or the folder.
 * @throws ServerError `adapter_not_found`, `permission_denied`, `invalid_adapter`
 */
export async function takeLocalFile (file: string, { folder, maxSizeBytes, jail }: LocalFileOptions): Promise<string> {
  const real = await realPathIn(file, file, jail)
  const stats = await stat(real).catch((error: unknown) => { throw unreadable(file, error) })
  if (stats.isDirectory()) {
    for (const name of peftFileNames) await realPathIn(path.join(real, name), file, jail)
    return real
  }
  if (!stats.isFile()) throw new ServerError('invalid_adapter', `${file} is neither a file nor a folder`)
  if (stats.size > maxSizeBytes) {
    throw new ServerError('invalid_adapter', `${file} has ${byteText(stats.size)}; the limit is ${byteText(maxSizeBytes)} (--adapter-max-size)`)
  }
  const copy = path.join(folder, 'adapter.gguf')
  await copyFile(real, copy, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE).catch((error: unknown) => { throw unreadable(file, error) })
  return copy
}

/** Where a path really leads. @param shown what the reader knows it as */
async function realPathIn (file: string, shown: string, jail: string | null): Promise<string> {
  // Before the disk is asked: what is outside does not even exist for whoever asks.
  if (jail !== null && !isInside(path.resolve(file), path.resolve(jail))) throw outside(shown)
  const real = await realpath(file).catch((error: unknown) => { throw unreadable(shown, error) })
  if (jail !== null && !isInside(real, await realpath(jail))) throw outside(shown)
  return real
}

const isInside = (file: string, folder: string): boolean => file.startsWith(folder.endsWith(path.sep) ? folder : folder + path.sep)

const outside = (file: string): ServerError =>
  new ServerError('permission_denied', `${file} is not in the folder that adapters may be loaded from (--adapter-dir)`)

function unreadable (file: string, error: unknown): ServerError {
  const { code } = error as NodeJS.ErrnoException
  const isMissing = code === 'ENOENT' || code === 'ENOTDIR'
  return new ServerError(isMissing ? 'adapter_not_found' : 'invalid_adapter', isMissing ? `No adapter found for ${file}` : `${file} cannot be read: ${fileErrorText(error)}`, { cause: error })
}
