import type { Config } from './config.ts'
import type { Option } from './options.ts'
import type { Setting, Settings } from './setting.ts'
import path from 'node:path'
import { StartupError } from '../domain/startup-error.ts'
import { configSchema } from './config.ts'
import { checkConfig } from './check-config.ts'
import { describeAllowed, schemaOf } from './option-schema.ts'
import { readConfigFile } from './read-config-file.ts'
import { readAdapters } from './read-adapters.ts'
import { readEnvironment } from './read-environment.ts'
import { isSendableKey, readKeyFile, unsendableKeyText } from './read-key-file.ts'
import { readModels } from './read-models.ts'
import { readTenants } from './read-tenants.ts'
import { parseValue } from './value-kind.ts'

export interface LoadedConfig {
  readonly config: Config
  /** Where each setting comes from, by flag (`port` -> `DRAWBRIDGE_PORT`). Those at their default are not in it. */
  readonly origins: ReadonlyMap<string, string>
  /** Sentences for the person who starts the server; it starts all the same. */
  readonly warnings: readonly string[]
}

/**
 * Builds the configuration from flags, environment and file; for each option a flag beats the environment, and the
 * environment beats the file. Lists replace each other as a whole.
 *
 * @throws StartupError naming the flag, variable or key at fault, its value and what is allowed.
 */
export function loadConfig (flags: Settings, environment: Readonly<Record<string, string | undefined>>): LoadedConfig {
  const variables = readEnvironment(environment)
  const file = flags.get('config') ?? variables.settings.get('config')
  const fileSettings = file === undefined ? new Map<string, Setting>() : readConfigFile(String(file.values[0]), file.source)

  const settings = new Map<string, Setting>([...fileSettings, ...variables.settings, ...flags])
  const warnings = [...variables.warnings]
  const fields: Record<string, unknown> = {}
  const fake: Record<string, unknown> = {}
  for (const setting of settings.values()) {
    const { target } = setting.option
    if (target.type !== 'config') continue
    const [field, member] = target.path
    if (member === undefined) fields[field] = resolveFolder(readField(setting), setting)
    else fake[member] = readField(setting)
  }
  const models = readModels(settings.get('model'), settings.get('alias'), settings.get('draft-model'))
  const keys = readKeys(settings.get('api-key'), settings.get('api-key-file'), warnings)
  const adminKeys = readKeys(settings.get('admin-key'), undefined, warnings) ?? []
  const tenants = readTenants(settings.get('tenants'), [...keys ?? [], ...adminKeys], warnings)

  const config: Config = Object.freeze(configSchema.parse({
    ...fields,
    fake,
    ...(models === null ? {} : { models }),
    ...(keys === null ? {} : { apiKeys: keys }),
    adminKeys,
    adapters: readAdapters(settings.get('adapter')),
    tenants
  }))
  const origins = new Map([...settings].map(([flag, { source }]) => [flag, source]))
  const modelPlace = origins.get('model')
  if (!origins.has('draft-model') && modelPlace !== undefined && config.models.some(({ draftModel }) => draftModel !== null)) {
    origins.set('draft-model', `draftModel of ${modelPlace}`)
  }
  warnings.push(...checkConfig(config, origins))
  return { config, origins, warnings }
}

/** Words of these options are no paths. */
const pathFlags: Readonly<Record<string, readonly string[]>> = {
  'adapter-dir': ['off'],
  'adapter-state': ['auto'],
  'audit-log': ['off'],
  'data-dir': ['auto', 'off'],
  'log-prompts': ['off'],
  'park-dir': ['auto'],
  'tls-cert': ['off'],
  'tls-key': ['off']
}

/** Relative paths of a file are relative to it. */
function resolveFolder (value: unknown, { option: { flag }, directory }: Setting): unknown {
  const isPath = typeof value === 'string' && pathFlags[flag]?.includes(value) === false
  return isPath && directory !== null ? path.resolve(directory, value) : value
}

/** @throws StartupError when the value is not one that the option takes. */
function readField (setting: Setting): unknown {
  const { option, values } = setting
  const parsed = values.map((value) => typeof value === 'string' ? parseValue(value, option.kind) : value)
  const value = option.isRepeatable ? parsed : parsed[0]
  const result = schemaOf(option)?.safeParse(value)
  if (result?.success !== true) {
    const culprit = option.isRepeatable ? values : values[0]
    throw new StartupError(`${setting.source} is ${quote(culprit, option)}, but must be ${describeAllowed(option)}`)
  }
  return result.data
}

const quote = (value: unknown, option: Option): string => option.isSecret ? 'a secret' : JSON.stringify(value)

/** Keys of both places together, each once; null when neither is given. */
function readKeys (given: Setting | undefined, file: Setting | undefined, warnings: string[]): readonly string[] | null {
  const keys = new Set<string>()
  for (const key of given?.values ?? []) {
    if (typeof key !== 'string' || !isSendableKey(key)) throw new StartupError(`A value of ${given?.source} ${unsendableKeyText}`)
    keys.add(key)
  }
  if (file !== undefined) {
    const [name] = file.values
    if (typeof name !== 'string') throw new StartupError(`${file.source} is ${JSON.stringify(name)}, but must be the path of a file`)
    const read = readKeyFile(file.directory === null ? name : path.resolve(file.directory, name), file.source)
    warnings.push(...read.warnings)
    for (const key of read.keys) keys.add(key)
  }
  return keys.size === 0 ? null : [...keys]
}
