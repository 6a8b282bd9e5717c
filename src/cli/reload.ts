import { checkConfig, checkReach } from '../config/check-config.ts'
import type { Config } from '../config/config.ts'
import type { LoadedConfig } from '../config/load-config.ts'
import { fieldOf, options } from '../config/options.ts'
import { reloadableFields, type ReloadableField } from '../config/reloadable-fields.ts'
import { StartupError } from '../domain/startup-error.ts'

export interface ReloadParts {
  /** Reads the settings again. @throws StartupError like the start */
  readonly load: () => LoadedConfig
  /** What the server looks at; its reloadable fields are overwritten. */
  readonly live: { -readonly [Field in keyof Config]: Config[Field] }
  /** Whether the database has keys, so that everybody needs one. */
  readonly hasStoredKeys: () => boolean
  /** Called before anything changes. @throws StartupError when the server must not go on with them */
  readonly check: (config: Config) => void
  /** Tells the parts that do not look at `live` themselves. */
  readonly apply: (config: Config, changed: ReadonlySet<ReloadableField>) => void
  /** Other files than that of the settings. */
  readonly rereadFiles: () => void
  readonly logger: { info (details: object, message: string): void, warn (details: object, message: string): void, error (details: object, message: string): void }
}

/** Takes over new settings while the server runs. Those that need a restart are named in the log and stay. */
export class Reload {
  readonly #parts: ReloadParts

  constructor (parts: ReloadParts) {
    this.#parts = parts
  }

  /** Does not throw: what is wrong with the settings is logged, and all of them stay as they were. */
  run (): void {
    try {
      this.#run()
    } catch (error) {
      const details = error instanceof StartupError ? { reason: error.message } : { err: error }
      this.#parts.logger.error(details, 'settings cannot be read again')
    }
  }

  #run (): void {
    const { load, live, hasStoredKeys, check, apply, rereadFiles, logger } = this.#parts
    rereadFiles()
    const { config, origins, warnings } = load()
    const changed = changedFields(live, config)
    const reloadable = reloadableFields.filter((field) => changed.has(field))
    const next: Config = { ...live, ...Object.fromEntries(reloadable.map((field) => [field, config[field]])) }
    // What is left of the new settings must fit what is kept of the old ones: no keys, for example, were meant for another address.
    checkConfig(next, origins)
    checkReach(next, hasStoredKeys(), (flag) => origins.get(flag) ?? `--${flag}`)
    check(next)
    for (const warning of warnings) logger.warn({}, warning)
    Object.assign(live, next)
    apply(next, new Set(reloadable))
    const needRestart = [...changed].filter(([field]) => !(reloadableFields as readonly string[]).includes(field)).map(([, flag]) => flag)
    logger.info({ changed: reloadable.map((field) => changed.get(field)) }, 'settings read again')
    if (needRestart.length > 0) logger.warn({ settings: needRestart }, 'these settings have changed, but need a restart')
  }
}

/** Fields that differ, with the name of their first option. */
function changedFields (before: Config, after: Config): ReadonlyMap<string, string> {
  const changed = new Map<string, string>()
  for (const option of options) {
    const field = fieldOf(option)
    if (field === null || changed.has(field) || JSON.stringify(before[field]) === JSON.stringify(after[field])) continue
    changed.set(field, option.flag)
  }
  return changed
}
