import type { ModelFile } from './model-file.ts'
import type { ModelSource } from './model-source.ts'
import { StartupError } from '../domain/startup-error.ts'
import { vocabularyDifference } from '../domain/vocabulary-difference.ts'
import { readModelFile, readVocabulary } from './model-file.ts'
import { findDraftModel } from './model-source.ts'

/** A draft model that fits its model; the file is null for the fake engine's. */
export interface PreparedDraft {
  readonly root: string
  readonly file: ModelFile | null
}

/**
 * Finds and checks a draft model.
 * @param model what it drafts for
 * @param place where it is named, for errors: `--draft-model` or what else it was
 * @throws StartupError when it cannot be used, or has another vocabulary
 */
export async function prepareDraft (ref: string, model: ModelSource, place: string): Promise<PreparedDraft> {
  try {
    const source = findDraftModel(ref)
    if (source.type === 'fake' || model.type === 'fake') {
      if (source.type !== model.type) throw new StartupError(`The draft model ${source.root} cannot be used for the model ${model.root}: only fake goes with fake`)
      return { root: source.root, file: null }
    }
    const file = await readModelFile(source.paths)
    if (file.pooling !== null) throw new StartupError(`The draft model ${file.path} is an embedding model (${file.architecture}), which cannot write text`)
    const difference = vocabularyDifference(await readVocabulary(file.path), await readVocabulary(model.paths[0]))
    if (difference !== null) {
      throw new StartupError(`The draft model ${file.path} cannot be used for the model ${model.paths[0]}: its ${difference}; take one of the same family`)
    }
    return { root: source.root, file }
  } catch (error) {
    if (!(error instanceof StartupError)) throw error
    throw new StartupError(`${error.message} (${place})`, { cause: error })
  }
}
