import type { BenchOptions } from './parse-options.ts'
import { withoutControls } from './report/terminal.ts'

/** What is as short as this is in many words that are no secret. */
const shortest = 4

/** What a server was sent to know us by: keys, values of headers, and values in the query of its URL. The longest come first. */
export function secretsOf ({ servers, tenants, headers }: Pick<BenchOptions, 'servers' | 'tenants' | 'headers'>): readonly string[] {
  const inQueries = servers.flatMap(({ url }) => [...url.searchParams.values(), ...url.search.slice(1).split('&').map((part) => part.replace(/^[^=]*=/, ''))])
  const inHeaders = Object.values(headers).flatMap((value) => [value, ...value.split(/\s+/).filter((word) => !/^(bearer|basic)$/i.test(word))])
  const all = [...servers.map(({ apiKey }) => apiKey ?? ''), ...tenants.map(({ apiKey }) => apiKey), ...inHeaders, ...inQueries]
  return [...new Set(all)].filter(({ length }) => length >= shortest).sort((a, b) => b.length - a.length)
}

/** Some servers repeat a key that they refuse. A text that was cut short may end with the beginning of one. */
export function withoutSecrets (text: string, secrets: readonly string[]): string {
  let clean = text
  for (const secret of secrets) {
    clean = clean.replaceAll(secret, '…')
    for (let length = secret.length - 1; length >= shortest; length--) {
      if (clean.endsWith(`${secret.slice(0, length)}…`)) clean = clean.slice(0, -length - 1) + '…'
    }
  }
  return clean
}

/** `http://a/v1?key=sk-1` becomes `http://a/v1?key=…`: the values in a query are often keys. Other text stays as it is. */
export function withoutQueryValues (text: string): string {
  return text.replaceAll(/(https?:\/\/[^\s?#"']*\?)([^\s#"']+)/gi, (_, start: string, query: string) =>
    start + query.split('&').map((part) => part.includes('=') ? `${part.slice(0, part.indexOf('='))}=…` : '…').join('&'))
}

/** A server's word in one line without control characters, for the names and sentences of a report. */
export const asOneLine = (text: string): string => withoutControls(text.replaceAll(/\s*\n\s*/g, ' '))
