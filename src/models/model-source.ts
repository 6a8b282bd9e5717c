import { existsSync, readdirSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import path from 'node:path'
import { StartupError } from '../domain/startup-error.ts'
import { fileErrorText } from '../domain/file-error-text.ts'
import { packageRoot } from './package-root.ts'

/** Where a model comes from. */
export type ModelSource =
  | { readonly type: 'fake', readonly id: string, readonly root: string }
  | {
    readonly type: 'file'
    /** The model's name in the API when it has no alias. */
    readonly id: string
    /** What `/v1/models` shows: `demo`, or the absolute path of the first file. */
    readonly root: string
    /** All parts in their order; most models have one. */
    readonly paths: readonly [string, ...string[]]
  }

export const demoModelId = 'drawbridge-demo'

const shardName = /^(?<stem>.+)-(?<part>\d{5})-of-(?<count>\d{5})\.gguf$/i

/**
 * Finds the files that a `--model` means. Does not open them.
 * @throws StartupError when there is no such file, or it is not clear which one is meant.
 */
export function findModel (ref: string): ModelSource {
  if (ref === 'fake') return { type: 'fake', id: 'fake', root: 'fake' }
  if (ref === 'demo') return { type: 'file', id: demoModelId, root: 'demo', paths: [demoModelPath()] }
  const scheme = /^([a-z][a-z0-9+.-]+):/i.exec(ref)?.[1]?.toLowerCase()
  if (scheme === 'https' || scheme === 'http' || scheme === 'hf') {
    throw new StartupError(`The model ${ref} would have to be downloaded, which this version does not do; download it and give the file's path`)
  }
  return findFile(path.resolve(expandHome(ref)), ref)
}

/**
 * Finds the files that a `--draft-model` means; `demo` is the demo model's own.
 * @throws StartupError as `findModel` does.
 */
export const findDraftModel = (ref: string): ModelSource =>
  ref === 'demo' ? findFile(path.join(path.dirname(demoModelPath()), 'demo-draft-q8_0.gguf'), ref) : findModel(ref)

function findFile (file: string, ref: string): ModelSource {
  let isFolder: boolean
  try {
    isFolder = statSync(file).isDirectory()
  } catch (error) {
    const hint = (error as NodeJS.ErrnoException).code === 'ENOENT' ? nearbyHint(file) : ''
    throw new StartupError(`The model file ${ref}${file === ref ? '' : ` (${file})`} cannot be read: ${fileErrorText(error)}${hint}`, { cause: error })
  }
  const chosen = isFolder ? onlyModelIn(file) : file
  const paths = allParts(chosen)
  return { type: 'file', id: modelIdOf(paths[0]), root: paths[0], paths }
}

/** The file's name without `.gguf` and without the numbers of a split file. */
export function modelIdOf (file: string): string {
  const name = path.basename(file)
  return shardName.exec(name)?.groups?.['stem'] ?? (name.replace(/\.gguf$/i, '') || name)
}

/** A split model is named by any of its parts; llama.cpp wants the first, and all of them beside it. */
function allParts (file: string): readonly [string, ...string[]] {
  const { stem, count } = shardName.exec(path.basename(file))?.groups ?? {}
  if (stem === undefined || count === undefined || Number(count) < 1) return [file]
  const parts = Array.from({ length: Number(count) }, (_, index) =>
    path.join(path.dirname(file), `${stem}-${String(index + 1).padStart(5, '0')}-of-${count}.gguf`))
  const missing = parts.filter((part) => !existsSync(part))
  if (missing.length > 0) {
    throw new StartupError(`The model ${stem} is split into ${parts.length} files, and ${missing.length === 1 ? 'one is' : `${missing.length} are`} missing: ${listNames(missing)}`)
  }
  return parts as [string, ...string[]]
}

function onlyModelIn (folder: string): string {
  let names: readonly string[]
  try {
    names = readdirSync(folder)
  } catch (error) {
    throw new StartupError(`The model folder ${folder} cannot be read: ${fileErrorText(error)}`, { cause: error })
  }
  const models = names.filter((name) => {
    if (!/\.gguf$/i.test(name) || /^mmproj/i.test(name)) return false
    const part = shardName.exec(name)?.groups?.['part']
    return part === undefined || Number(part) === 1
  }).sort()
  const [only] = models
  if (only === undefined) throw new StartupError(`The model folder ${folder} has no .gguf file in it`)
  if (models.length > 1) throw new StartupError(`The model folder ${folder} has ${models.length} .gguf files in it; give the path of one: ${listNames(models)}`)
  return path.join(folder, only)
}

function nearbyHint (file: string): string {
  return existsSync(`${file}.gguf`) ? `; ${path.basename(file)}.gguf is beside it` : ''
}

function listNames (files: readonly string[]): string {
  const shown = files.slice(0, 5).map((file) => path.basename(file)).join(', ')
  return files.length > 5 ? `${shown} and ${files.length - 5} more` : shown
}

const expandHome = (ref: string): string => /^~(?=$|[/\\])/.test(ref) ? homedir() + ref.slice(1) : ref

/** The model that comes with the package. */
export const demoModelPath = (): string => path.join(packageRoot(), 'models', 'demo', `${demoModelId}-q8_0.gguf`)
