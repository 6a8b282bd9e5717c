import { randomUUID } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileErrorText } from '../../domain/file-error-text.ts'
import type { PrepareAdapter } from '../adapter-facts.ts'
import { readBaseModel } from './base-model.ts'
import { checkGgufAdapter } from './check-gguf-adapter.ts'
import { convertPeft } from './convert-peft.ts'
import { adapterRefusal, type Refuse } from './refusal.ts'

/** See `PrepareAdapter`. */
export const prepareAdapter: PrepareAdapter = async (path, { modelPaths, limits, folder, signal }) => {
  signal.throwIfAborted()
  const refuse = adapterRefusal(path)
  const isFolder = await isDirectory(path, refuse)
  const base = await readBaseModel(modelPaths)
  if (!isFolder) return { facts: await checkGgufAdapter(path, base, limits, refuse, signal), file: { path } }
  const target = join(folder, `${randomUUID()}.gguf`)
  const facts = await convertPeft(resolve(path), target, { base, limits, refuse, signal })
  return { facts, file: { path: target } }
}

/** Whether it is a folder. Whether it is a file of a kind that can be read, whoever opens it finds out. */
export async function isDirectory (path: string, refuse: Refuse): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    throw refuse(`cannot be read: ${fileErrorText(error)}`, error)
  }
}
