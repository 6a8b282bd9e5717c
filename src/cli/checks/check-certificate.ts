import type { X509Certificate } from 'node:crypto'
import type { Finding } from './finding.ts'

/** Those that renew certificates do it a month before the end. */
const soonMs = 14 * 24 * 60 * 60 * 1000

const day = (text: string): string => new Date(text).toISOString().slice(0, 10)

/**
 * @param keyMode the permissions of the key's file
 * @param now in milliseconds since 1970
 */
export function checkCertificate ({ subject, subjectAltName, validFrom, validTo }: Pick<X509Certificate, 'subject' | 'subjectAltName' | 'validFrom' | 'validTo'>, keyMode: number, now: number): Finding {
  const about = 'certificate'
  const name = subjectAltName ?? subject
  if (Date.parse(validTo) < now) return { about, state: 'problem', text: `It ended on ${day(validTo)} (${name})` }
  if (Date.parse(validFrom) > now) return { about, state: 'problem', text: `It begins on ${day(validFrom)} (${name})` }
  if (Date.parse(validTo) - now < soonMs) return { about, state: 'warning', text: `It ends on ${day(validTo)} (${name})` }
  if ((keyMode & 0o007) !== 0) return { about, state: 'warning', text: 'Everybody on this machine may read its key; chmod o= takes that from them' }
  return { about, state: 'ok', text: `It is good until ${day(validTo)} (${name})` }
}
