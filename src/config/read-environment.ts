import type { Setting, Settings } from './setting.ts'
import { options, variableName } from './options.ts'
import { didYouMean } from './suggest.ts'

export interface EnvironmentSettings {
  readonly settings: Settings
  /** Sentences about variables that look like ours and are not. */
  readonly warnings: readonly string[]
}

const prefix = 'DRAWBRIDGE_'

/** What Kubernetes sets in every container of a namespace that has a Service called "drawbridge". */
const isServiceLink = (name: string, value: string): boolean =>
  /^DRAWBRIDGE_(SERVICE_(HOST|PORT)|PORT_\d)/.test(name) || (name === 'DRAWBRIDGE_PORT' && /^(tcp|udp):\/\//.test(value))

/** Reads the `DRAWBRIDGE_` variables. Empty ones count as absent; lists are written with commas. */
export function readEnvironment (environment: Readonly<Record<string, string | undefined>>): EnvironmentSettings {
  const known = new Map(options.filter((option) => option.hasVariable).map((option) => [variableName(option), option]))
  const settings = new Map<string, Setting>()
  const warnings: string[] = []
  for (const [name, value] of Object.entries(environment)) {
    if (!name.startsWith(prefix) || value === undefined || value.trim() === '' || isServiceLink(name, value)) continue
    const option = known.get(name)
    if (option === undefined) {
      warnings.push(`The environment variable ${name} means nothing to this server${didYouMean(name, [...known.keys()])}`)
      continue
    }
    const values = option.isRepeatable
      ? value.split(',').map((item) => item.trim()).filter((item) => item !== '')
      : [value.trim()]
    if (values.length > 0) settings.set(option.flag, { option, values, source: name, directory: null })
  }
  return { settings, warnings }
}
