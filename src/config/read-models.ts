import type { ModelConfig } from './config.ts'
import type { Setting } from './setting.ts'
import path from 'node:path'
import { StartupError } from '../domain/startup-error.ts'
import { toolDialects } from '../domain/tool-dialect.ts'
import { modelConfigSchema } from './config.ts'
import { didYouMean } from './suggest.ts'

const entryKeys = Object.keys(modelConfigSchema.shape)

/**
 * Pairs models with aliases and draft models: the first alias names the first model, and so on, wherever each of them was set.
 * @returns null when none of them is set.
 * @throws StartupError when there are more aliases or draft models than models, or an entry of the file is not understood.
 */
export function readModels (
  models: Setting | undefined, aliases: Setting | undefined, draftModels: Setting | undefined
): readonly ModelConfig[] | null {
  if (models === undefined && aliases === undefined && draftModels === undefined) return null
  const entries = models === undefined ? [readEntry('demo', builtIn)] : models.values.map((value) => readEntry(value, models))
  const names = valuesFor(entries, aliases, 'alias', 'aliases')
  const drafts = valuesFor(entries, draftModels, 'draft model', 'draft models')
  return entries.map((entry, index) => {
    const [name, draft] = [names[index], drafts[index]]
    return {
      ...entry,
      ...(name === undefined ? {} : { alias: checkAlias(name, aliases?.source ?? '') }),
      ...(draft === undefined ? {} : { draftModel: checkDraftModel(draft, draftModels ?? builtIn) })
    }
  })
}

/** Where the demo is named. */
const builtIn: Pick<Setting, 'source' | 'directory'> = { source: '', directory: null }

/** What is said for each model by a list of its own. */
function valuesFor (entries: readonly ModelConfig[], setting: Setting | undefined, one: string, many: string): readonly unknown[] {
  const values = setting?.values ?? []
  if (values.length > entries.length) {
    throw new StartupError(`${setting?.source} names ${count(values.length, one, many)}, but there ${entries.length === 1 ? 'is' : 'are'} only ${count(entries.length, 'model', 'models')}`)
  }
  return values
}

/** A plain text is the reference alone; relative paths of a file are relative to that file. */
function readEntry (value: unknown, setting: Pick<Setting, 'source' | 'directory'>): ModelConfig {
  const { source, directory } = setting
  if (typeof value === 'string') return { ref: resolveRef(value, directory), alias: null, draftModel: null }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new StartupError(`${source} has the entry ${JSON.stringify(value)}, but must list paths, or entries with ${entryKeys.map((key) => `"${key}"`).join(', ')}`)
  }
  for (const key of Object.keys(value)) {
    if (!entryKeys.includes(key)) {
      throw new StartupError(`${source} has an entry with the unknown key "${key}"${didYouMean(key, entryKeys)}`)
    }
  }
  const { ref, alias, draftModel, toolDialect, maxTokensDefault, maxTokensLimit, embeddings } = value as { readonly [Key in keyof ModelConfig]?: unknown }
  if (typeof ref !== 'string' || ref === '') throw new StartupError(`${source} has an entry without "ref", the model's path`)
  return {
    ref: resolveRef(ref, directory),
    alias: alias === undefined || alias === null ? null : checkAlias(alias, source),
    draftModel: draftModel === undefined || draftModel === null ? null : checkDraftModel(draftModel, setting),
    ...(toolDialect === undefined || toolDialect === null ? {} : { toolDialect: checkDialect(toolDialect, source) }),
    ...(maxTokensDefault === undefined || maxTokensDefault === null ? {} : { maxTokensDefault: checkTokens(maxTokensDefault, 'maxTokensDefault', source) }),
    ...(maxTokensLimit === undefined || maxTokensLimit === null ? {} : { maxTokensLimit: checkTokens(maxTokensLimit, 'maxTokensLimit', source) }),
    ...(embeddings === undefined || embeddings === null ? {} : { embeddings: checkSwitch(embeddings, source) })
  }
}

function checkTokens (value: unknown, key: 'maxTokensDefault' | 'maxTokensLimit', source: string): number | 'off' {
  const { success, data } = modelConfigSchema.shape[key].safeParse(value)
  if (success && data !== undefined) return data
  throw new StartupError(`${source} has an entry with the ${key} ${JSON.stringify(value)}, but it must be a number of tokens from 1 to 16777216, or off`)
}

function checkSwitch (value: unknown, source: string): boolean {
  if (typeof value === 'boolean') return value
  throw new StartupError(`${source} has an entry with the embeddings ${JSON.stringify(value)}, but it must be true or false`)
}

function checkDialect (value: unknown, source: string): NonNullable<ModelConfig['toolDialect']> {
  const allowed = ['auto', ...toolDialects] as const
  const dialect = allowed.find((name) => name === value)
  if (dialect !== undefined) return dialect
  throw new StartupError(`${source} has an entry with the toolDialect ${JSON.stringify(value)}, but it must be one of ${allowed.join(', ')}`)
}

function checkDraftModel (draftModel: unknown, { source, directory }: Pick<Setting, 'source' | 'directory'>): string {
  if (typeof draftModel === 'string' && draftModel !== '') return resolveRef(draftModel, directory)
  throw new StartupError(`${source} has the draft model ${JSON.stringify(draftModel)}, but must be the path of a GGUF file`)
}

function resolveRef (ref: string, directory: string | null): string {
  const isPath = ref !== 'demo' && ref !== 'fake' && !ref.startsWith('~') && !/^[a-z]{2,}:/i.test(ref)
  return isPath && directory !== null ? path.resolve(directory, ref) : ref
}

function checkAlias (alias: unknown, source: string): string {
  // eslint-disable-next-line no-control-regex
  if (typeof alias !== 'string' || alias.trim() !== alias || alias === '' || alias.length > 256 || /[\u0000-\u001F\u007F]/.test(alias)) {
    throw new StartupError(`${source} has the alias ${JSON.stringify(alias)}, but must be a name of 1 to 256 characters without spaces around it or control characters`)
  }
  return alias
}

const count = (amount: number, one: string, many: string): string => `${amount} ${amount === 1 ? one : many}`
