import { constants, open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { ServerError } from '../../domain/errors.ts'
import { fileErrorText } from '../../domain/file-error-text.ts'
import type { Refuse } from './refusal.ts'

export interface OpenFile {
  readonly handle: FileHandle
  readonly sizeBytes: number
}

/**
 * Opens a regular file to read it. Pipes, devices and sockets are refused without waiting for them or reading a byte.
 * @param what begins the message: `adapter_config.json` or `its file`.
 */
export async function openFile (path: string, what: string, refuse: Refuse): Promise<OpenFile> {
  let handle: FileHandle | undefined
  try {
    handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY)
    const stats = await handle.stat()
    if (!stats.isFile()) throw refuse(`cannot be used: ${what} is ${stats.isDirectory() ? 'a folder' : 'not a regular file'}`)
    return { handle, sizeBytes: stats.size }
  } catch (error) {
    await handle?.close()
    if (error instanceof ServerError) throw error
    throw refuse(`cannot be used: ${what} cannot be read: ${fileErrorText(error)}`, error)
  }
}

/**
 * Reads exactly so many bytes.
 * @throws what `refuse` makes of it when the file has become shorter since it was opened.
 */
export async function readExactly (handle: FileHandle, position: number, length: number, refuse: Refuse): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await handle.read(buffer, filled, length - filled, position + filled)
    if (bytesRead === 0) throw refuse('became shorter while it was read; write the file under another name and rename it')
    filled += bytesRead
  }
  return buffer
}
