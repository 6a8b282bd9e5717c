import { validateHeaderName, validateHeaderValue } from 'node:http'
import { StartupError } from '../domain/startup-error.ts'
import type { BenchOptions, ServerOptions } from './parse-options.ts'

/**
 * Looks whether HTTP can carry the headers and keys for a server, so that a pasted "…" or a line break ends the benchmark before it
 * begins. Keys are not shown.
 *
 * @throws StartupError which names the flag.
 */
export function checkHeaders ({ apiKey }: ServerOptions, { headers, servers, tenants }: BenchOptions): void {
  for (const [name, value] of Object.entries(headers)) {
    check(`--header "${name}"`, name, value)
  }
  // The second server has the first one's key unless it was given one of its own.
  const keyFlag = servers[0]?.apiKey === apiKey ? '--api-key (or OPENAI_API_KEY)' : '--vs-api-key'
  if (apiKey !== null) check(keyFlag, 'authorization', apiKey)
  for (const tenant of tenants) check(`The key of --tenant ${tenant.name}`, 'authorization', tenant.apiKey)
}

function check (source: string, name: string, value: string): void {
  try {
    validateHeaderName(name)
  } catch {
    throw new StartupError(`${source} is no name of an HTTP header`)
  }
  for (const [index, character] of [...value].entries()) {
    try {
      validateHeaderValue(name, character)
    } catch {
      const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0')
      throw new StartupError(`${source} has U+${code} as its ${index + 1}. character, which HTTP headers cannot carry`)
    }
  }
}
