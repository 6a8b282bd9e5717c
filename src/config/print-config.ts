import type { LoadedConfig } from './load-config.ts'
import type { Option } from './options.ts'
import { stringify } from 'yaml'
import { defaultText } from './option-schema.ts'
import { options } from './options.ts'
import { formatValue } from './value-kind.ts'

/**
 * The whole configuration as a YAML file that could be passed to `--config`, each setting with where it comes from.
 * API keys are counted, never shown.
 */
export function printConfig ({ config, origins }: LoadedConfig): string {
  const lines: string[] = []
  const add = (key: string, value: unknown, flags: readonly string[]): void => {
    const sources = flags.flatMap((flag) => origins.get(flag) ?? [])
    const text = stringify({ [key]: value }, { lineWidth: 0 }).trimEnd()
    const [first = '', ...rest] = text.split('\n')
    lines.push(`${first}  # ${sources.length === 0 ? 'default' : sources.join(', ')}`, ...rest)
  }

  for (const option of options) {
    if (option.fileKey === null) continue
    switch (option.target.type) {
      case 'models':
        add(option.fileKey, config.models.map((model) => Object.fromEntries(Object.entries(model).filter(([, value]) => value !== null))), ['model', 'alias', 'draft-model'])
        break
      case 'api-keys':
        lines.push(`# ${option.fileKey}: ${describeKeys(config.apiKeys.length)}${keySources(origins)}`)
        break
      case 'admin-keys':
        lines.push(`# ${option.fileKey}: ${describeKeys(config.adminKeys.length)}${origins.has('admin-key') ? `, from ${origins.get('admin-key')}` : ''}`)
        break
      case 'adapters':
        add(option.fileKey, config.adapters.map((adapter) => Object.fromEntries(Object.entries(adapter).filter(([, value]) => value !== null))), ['adapter'])
        break
      case 'tenants':
        for (const { name, keys, ...rest } of config.tenants) {
          lines.push(`# tenant ${name}: ${describeKeys(keys.length)}, ${Object.entries(rest).flatMap(([key, value]) => isEmpty(value) ? [] : [`${key} ${typeof value === 'object' ? JSON.stringify(value) : value}`]).join(', ')}`)
        }
        break
      case 'config': {
        const value = valueAt(config, option)
        if (option.isSecret && value !== defaultText(option)) {
          lines.push(`# ${option.fileKey}: hidden, from ${origins.get(option.flag)}`)
          break
        }
        add(option.fileKey, typeof value === 'number' && hasUnit(option) ? formatValue(value, option.kind) : value, [option.flag])
        break
      }
      // The key file's keys are among those counted above.
      case 'api-key-file':
      case 'aliases':
      case 'draft-models':
      case 'config-file':
      case 'command':
        break
    }
  }
  return `${lines.join('\n')}\n`
}

const isEmpty = (value: unknown): boolean => value === null || (typeof value === 'object' && Object.keys(value).length === 0)

const hasUnit = (option: Option): boolean => option.kind === 'duration' || option.kind === 'bytes'

function valueAt (config: LoadedConfig['config'], option: Option): unknown {
  if (option.target.type !== 'config') return undefined
  return option.target.path.reduce<unknown>((value, member) => (value as Readonly<Record<string, unknown>>)[member], config)
}

const describeKeys = (count: number): string => count === 0 ? 'none' : `${count} hidden`

function keySources (origins: ReadonlyMap<string, string>): string {
  const sources = ['api-key', 'api-key-file'].flatMap((flag) => origins.get(flag) ?? [])
  return sources.length === 0 ? '' : `, from ${sources.join(' and ')}`
}
