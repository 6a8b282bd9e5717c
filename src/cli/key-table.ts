import { alignedLines } from './aligned-lines.ts'
import type { ShownKey } from './shown-key.ts'

const dateOf = (seconds: number | null): string => seconds === null ? '-' : new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ')
const listOf = (patterns: readonly string[] | null): string => patterns === null ? 'all' : patterns.join(',')

/** One key in each line, times in UTC. */
export function keyTable (keys: readonly ShownKey[]): string {
  if (keys.length === 0) return 'There are no keys.\n'
  const titles = ['id', 'owner', 'name', 'state', 'scopes', 'models', 'adapters', 'ends', 'last used']
  const rows = keys.map((key) => [
    key.id, key.owner, key.name === '' ? '-' : key.name, key.state, key.scopes.join(','), listOf(key.models), listOf(key.adapters), dateOf(key.revoked_at ?? key.expires_at), dateOf(key.last_used_at)
  ])
  return `${alignedLines([titles, ...rows]).join('\n')}\n`
}
