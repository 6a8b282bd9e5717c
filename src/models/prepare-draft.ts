import type { ModelFile, ReadModel } from './model-file.ts'
import { StartupError } from '../domain/startup-error.ts'
import { vocabularyDifference } from '../domain/vocabulary-difference.ts'
import { readModel } from './model-file.ts'
import { findDraftModel } from './model-source.ts'

/** A draft model that fits its model; the file is null for the fake engine's. */
export interface PreparedDraft {
  readonly root: string
  readonly file: ModelFile | null
}

/**
 * Finds and checks a draft model.
 * @param model what it drafts for; null for the fake engine
 * @param place where it is named, for errors: `--draft-model` or what else it was
 * @throws StartupError when it cannot be used, or has another vocabulary
 */
export async function prepareDraft (ref: string, model: ReadModel | null, place: string): Promise<PreparedDraft> {
  try {
    const source = findDraftModel(ref)
    if (source.type === 'fake' || model === null) {
      if (source.type !== 'fake' || model !== null) {
        throw new StartupError(`The draft model ${source.root} cannot be used for the model ${model?.file.path ?? 'fake'}: only fake goes with fake`)
      }
      return { root: source.root, file: null }
    }
    const { file, vocabulary } = await readModel(source.paths)
    if (file.pooling !== null) throw new StartupError(`The draft model ${file.path} is an embedding model (${file.architecture}), which cannot write text`)
    const difference = vocabularyDifference(vocabulary, model.vocabulary)
    if (difference !== null) {
      throw new StartupError(`The draft model ${file.path} cannot be used for the model ${model.file.path}: its ${difference}; take one of the same family`)
    }
    return { root: source.root, file }
  } catch (error) {
    if (!(error instanceof StartupError)) throw error
    throw new StartupError(`${error.message} (${place})`, { cause: error })
  }
}
