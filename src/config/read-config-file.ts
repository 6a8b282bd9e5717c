import type { Setting, Settings } from './setting.ts'
import { readFileSync } from 'node:fs'
import path from 'node:path'
import { parseDocument } from 'yaml'
import { StartupError } from '../domain/startup-error.ts'
import { options } from './options.ts'
import { didYouMean } from './suggest.ts'
import { fileErrorText } from '../domain/file-error-text.ts'

/**
 * Reads a YAML file of settings. Relative paths in it are relative to the file.
 * @param source how the file was named: `--config` or `DRAWBRIDGE_CONFIG`.
 * @throws StartupError when it cannot be read, is not YAML, or has a key that no option has.
 */
export function readConfigFile (file: string, source: string): Settings {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch (error) {
    throw new StartupError(`The configuration file ${file} (${source}) cannot be read: ${fileErrorText(error)}`, { cause: error })
  }
  return parseConfigFile(text, file)
}

/** The part of {@link readConfigFile} that follows the reading. */
export function parseConfigFile (text: string, file: string): Settings {
  const document = parseDocument(text, { prettyErrors: true })
  const [problem] = document.errors
  if (problem !== undefined) throw invalidYaml(file, problem)
  let content: unknown
  try {
    content = document.toJS()
  } catch (error) {
    // Aliases are looked at here: those without an anchor, and those that multiply.
    throw invalidYaml(file, error as Error)
  }
  if (content === null || content === undefined) return new Map()
  if (typeof content !== 'object' || Array.isArray(content)) {
    throw new StartupError(`The configuration file ${file} must hold settings such as "port: 8080", one in each line`)
  }

  const known = new Map(options.flatMap((option) => option.fileKey === null ? [] : [[option.fileKey, option] as const]))
  const directory = path.dirname(path.resolve(file))
  const settings = new Map<string, Setting>()
  for (const [key, value] of Object.entries(content)) {
    const option = known.get(key)
    if (option === undefined) {
      throw new StartupError(`The configuration file ${file} has the unknown key "${key}"${didYouMean(key, [...known.keys()])}`)
    }
    if (value === null || value === undefined) continue
    if (option.target.type === 'tenants' && !Array.isArray(value)) throw new StartupError(`${key} in ${file} must list tenants, each with "name" and "keys" or "keyFile"`)
    const values: readonly unknown[] = Array.isArray(value) && option.isRepeatable ? value : [value]
    if (values.length === 0 && option.target.type === 'models') {
      throw new StartupError(`${key} in ${file} is an empty list; name at least one model, or leave the key out to serve the demo`)
    }
    if (values.length > 0) settings.set(option.flag, { option, values, source: `${key} in ${file}`, directory })
  }
  return settings
}

function invalidYaml (file: string, problem: Error): StartupError {
  const [firstLine] = problem.message.split('\n')
  return new StartupError(`The configuration file ${file} is not valid YAML: ${firstLine?.replace(/:$/, '')}`, { cause: problem })
}
