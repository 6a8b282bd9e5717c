import { StartupError } from '../domain/startup-error.ts'
import { findModel } from '../models/model-source.ts'

/**
 * The files of a model that adapters are compared with.
 * @throws StartupError when there are none
 */
export function baseModelPaths (ref: string): readonly string[] {
  const source = findModel(ref)
  if (source.type !== 'file') throw new StartupError(`--model ${ref} has no files that an adapter could fit`)
  return source.paths
}
