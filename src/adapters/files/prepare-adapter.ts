import { randomUUID } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileErrorText } from '../../domain/file-error-text.ts'
import type { PrepareAdapter, PrepareAdapterOptions, PreparedAdapter } from '../adapter-facts.ts'
import { type BaseModel, readBaseModel } from './base-model.ts'
import { checkGgufAdapter } from './check-gguf-adapter.ts'
import { convertPeft } from './convert-peft.ts'
import { adapterRefusal, type Refuse } from './refusal.ts'

/** See `PrepareAdapter`. */
export const prepareAdapter: PrepareAdapter = async (path, options) => await prepare(path, options, readBaseModel)

/**
 * The same for a model that many adapters are compared with: its header, which a large vocabulary makes tens of megabytes, is read again
 * only when its files have changed.
 */
export function createPrepareAdapter (): PrepareAdapter {
  let known: { readonly state: string, readonly base: Promise<BaseModel> } | null = null
  const readOnce = async (paths: readonly string[]): Promise<BaseModel> => {
    const state = JSON.stringify(await Promise.all(paths.map(stateOf)))
    if (known?.state === state) return await known.base
    const reading = { state, base: readBaseModel(paths) }
    known = reading
    reading.base.catch(() => { if (known === reading) known = null })
    return await reading.base
  }
  return async (path, options) => await prepare(path, options, readOnce)
}

/** What shows that a file is another one; a missing one is for whoever reads it. */
async function stateOf (path: string): Promise<readonly unknown[]> {
  const stats = await stat(path).catch(() => null)
  return [path, stats?.size, stats?.mtimeMs, stats?.ino]
}

async function prepare (
  path: string, { modelPaths, limits, folder, signal }: PrepareAdapterOptions, readBase: typeof readBaseModel
): Promise<PreparedAdapter> {
  signal.throwIfAborted()
  const refuse = adapterRefusal(path)
  const isFolder = await isDirectory(path, refuse)
  const base = await readBase(modelPaths)
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
