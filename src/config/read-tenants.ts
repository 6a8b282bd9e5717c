import path from 'node:path'
import { scopes } from '../domain/scopes.ts'
import { StartupError } from '../domain/startup-error.ts'
import { tenantConfigSchema, type TenantConfig } from './config.ts'
import { isSendableKey, readKeyFile, unsendableKeyText } from './read-key-file.ts'
import type { Setting } from './setting.ts'
import { didYouMean } from './suggest.ts'

const entryKeys = [...Object.keys(tenantConfigSchema.shape), 'keyFile']

/** What the values may be, in words, by their key. */
const allowed: Readonly<Record<string, string>> = {
  name: 'a name of 1 to 64 letters, digits, dots, dashes or underscores',
  keys: 'a list of keys',
  weight: 'a number from 0.01 to 100',
  priority: 'interactive, normal or batch',
  highestPriority: 'interactive, normal or batch',
  namesUsers: 'true or false',
  admin: 'true or false',
  scopes: `a list of ${scopes.join(', ')}`,
  models: 'a list of patterns',
  adapters: 'a list of patterns',
  limits: 'limits as docs/limits.md has them'
}

/**
 * Reads the tenants of the file.
 * @param otherKeys keys that are nobody's of these.
 * @throws StartupError naming the tenant and the key of the file at fault; never one of its keys.
 */
export function readTenants (setting: Setting | undefined, otherKeys: readonly string[], warnings: string[]): readonly TenantConfig[] {
  const tenants = (setting?.values ?? []).map((value) => readTenant(value, setting!, warnings))
  const names = new Set<string>()
  const owners = new Map<string, string>(otherKeys.map((key) => [key, 'the keys that are no tenant\'s']))
  for (const { name, keys } of tenants) {
    if (names.has(name)) throw new StartupError(`${setting?.source} has the tenant "${name}" twice`)
    names.add(name)
    for (const key of keys) {
      const owner = owners.get(key)
      if (owner !== undefined) throw new StartupError(`${setting?.source}: a key of the tenant "${name}" is also one of ${owner}`)
      owners.set(key, `the tenant "${name}"`)
    }
  }
  return tenants
}

function readTenant (value: unknown, { source, directory }: Setting, warnings: string[]): TenantConfig {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new StartupError(`${source} must list tenants, each with "name" and "keys" or "keyFile"`)
  }
  const { name, keyFile, ...rest } = value as Readonly<Record<string, unknown>>
  const label = typeof name === 'string' ? `the tenant "${name}" of ${source}` : `a tenant of ${source}`
  for (const key of Object.keys(value)) {
    if (!entryKeys.includes(key)) throw new StartupError(`${capital(label)} has the unknown key "${key}"${didYouMean(key, entryKeys)}`)
  }
  const keys: unknown[] = rest['keys'] === undefined ? [] : Array.isArray(rest['keys']) ? [...rest['keys'] as unknown[]] : [rest['keys']]
  if (keyFile !== undefined) {
    if (typeof keyFile !== 'string' || keyFile === '') throw new StartupError(`keyFile of ${label} must be the path of a file`)
    const read = readKeyFile(directory === null ? keyFile : path.resolve(directory, keyFile), `keyFile of ${label}`)
    warnings.push(...read.warnings)
    keys.push(...read.keys)
  }
  if (keys.length === 0) throw new StartupError(`${capital(label)} has neither "keys" nor "keyFile"`)
  for (const key of keys) if (typeof key !== 'string' || !isSendableKey(key)) throw new StartupError(`A value of keys of ${label} ${unsendableKeyText}`)
  const result = tenantConfigSchema.safeParse({ ...rest, name, keys: [...new Set(keys)] })
  if (!result.success) {
    const [issue] = result.error.issues
    const field = String(issue?.path[0] ?? 'name')
    const limit = issue?.path[0] === 'limits' ? issue.path[1] ?? (issue.code === 'unrecognized_keys' ? issue.keys[0] : undefined) : undefined
    throw new StartupError(`${limit === undefined ? field : `${field}.${String(limit)}`} of ${label} must be ${allowed[field] ?? 'something else'}`)
  }
  const { priority, highestPriority } = result.data
  if (result.data.admin && result.data.scopes !== undefined) throw new StartupError(`${capital(label)} has both "admin" and "scopes"; an admin may do everything`)
  if (priority === 'interactive' && highestPriority !== 'interactive' && rest['highestPriority'] !== undefined) {
    throw new StartupError(`priority of ${label} is more urgent than its highestPriority`)
  }
  return { ...result.data, highestPriority: priority === 'interactive' ? 'interactive' : highestPriority }
}

const capital = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1)
