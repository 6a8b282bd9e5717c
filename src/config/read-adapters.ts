import { readFileSync } from 'node:fs'
import path from 'node:path'
import { StartupError } from '../domain/startup-error.ts'
import { fileErrorText } from '../domain/file-error-text.ts'
import { adapterConfigSchema, type AdapterConfig } from './config.ts'
import type { Setting } from './setting.ts'
import { didYouMean } from './suggest.ts'

const entryKeys = [...Object.keys(adapterConfigSchema.shape), 'chatTemplateFile']

/** What the values may be, in words, by their key. */
const allowed: Readonly<Record<string, string>> = {
  name: 'a name',
  ref: 'a path, an https: address or hf:OWNER/REPOSITORY',
  model: 'the name of a model',
  scale: 'a number from -100 to 100',
  pinned: 'true or false',
  systemPrompt: 'a text',
  chatTemplate: 'a text'
}

/**
 * Reads adapters: `NAME=REF[@SCALE]`, or entries of the file.
 * @throws StartupError naming the entry and the key at fault.
 */
export function readAdapters (setting: Setting | undefined): readonly AdapterConfig[] {
  return setting === undefined ? [] : setting.values.map((value) => typeof value === 'string' ? readText(value, setting) : readEntry(value, setting))
}

function readText (text: string, setting: Setting): AdapterConfig {
  const [, name, rest] = /^([^=]+)=(.+)$/s.exec(text) ?? []
  if (name === undefined || rest === undefined) throw new StartupError(`${setting.source} is ${JSON.stringify(text)}, but must be NAME=REF or NAME=REF@SCALE`)
  const [, ref = rest, scale] = /^(.+)@(-?\d+(?:\.\d+)?)$/s.exec(rest) ?? []
  return check({ name: name.trim(), ref: resolveRef(ref, setting.directory), ...(scale === undefined ? {} : { scale: Number(scale) }) }, setting)
}

function readEntry (value: unknown, setting: Setting): AdapterConfig {
  const { source, directory } = setting
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new StartupError(`${source} has the entry ${JSON.stringify(value)}, but must list NAME=REF, or entries with "name" and "ref"`)
  }
  for (const key of Object.keys(value)) {
    if (!entryKeys.includes(key)) throw new StartupError(`${source} has an entry with the unknown key "${key}"${didYouMean(key, entryKeys)}`)
  }
  const { chatTemplateFile, ...rest } = value as Readonly<Record<string, unknown>>
  const ref = typeof rest['ref'] === 'string' ? resolveRef(rest['ref'], directory) : rest['ref']
  return check({ ...rest, ref, ...(chatTemplateFile === undefined ? {} : { chatTemplate: readTemplate(chatTemplateFile, setting) }) }, setting)
}

function check (entry: Readonly<Record<string, unknown>>, { source }: Setting): AdapterConfig {
  const result = adapterConfigSchema.safeParse(entry)
  if (result.success) return result.data
  const field = String(result.error.issues[0]?.path[0] ?? 'name')
  const label = typeof entry['name'] === 'string' ? `the adapter "${entry['name']}" of ${source}` : `an adapter of ${source}`
  throw new StartupError(`${field} of ${label} must be ${allowed[field] ?? 'something else'}`)
}

function readTemplate (file: unknown, { source, directory }: Setting): string {
  if (typeof file !== 'string' || file === '') throw new StartupError(`chatTemplateFile of ${source} must be the path of a file`)
  try {
    return readFileSync(path.resolve(directory ?? '.', file), 'utf8')
  } catch (error) {
    throw new StartupError(`The chat template ${file} (${source}) cannot be read: ${fileErrorText(error)}`, { cause: error })
  }
}

const resolveRef = (ref: string, directory: string | null): string =>
  directory === null || ref.startsWith('~') || /^[a-z]{2,}:/i.test(ref) ? ref : path.resolve(directory, ref)
