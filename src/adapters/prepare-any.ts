import { stat } from 'node:fs/promises'
import { ServerError } from '../domain/errors.ts'
import type { PrepareAdapter } from './adapter-facts.ts'

/** For the fake engine, which has no weights that a file could fit: every file is an adapter. */
export const prepareAny: PrepareAdapter = async (path) => {
  const stats = await stat(path)
  if (!stats.isFile()) throw new ServerError('invalid_adapter', `${path} is not a file`)
  return { facts: { format: 'gguf', name: null, architecture: null, rank: 0, alpha: 0, targetCount: 0, sizeBytes: stats.size }, file: { path } }
}
