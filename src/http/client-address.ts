import { isIP } from 'node:net'
import { type AddressRanges, bareAddress } from '../domain/address-ranges.ts'

/** An entry of `X-Forwarded-For`: some proxies add the port, and brackets around what has colons. */
function readEntry (entry: string): string | null {
  const text = entry.trim()
  const address = /^\[([^\]]*)\](?::\d+)?$/.exec(text)?.[1] ?? (/^[^:]*:\d+$/.test(text) ? text.slice(0, text.indexOf(':')) : text)
  return isIP(address) === 0 ? null : bareAddress(address)
}

/**
 * The address of whoever asks. Each proxy adds the address that it heard from at the end of `X-Forwarded-For`, so the list is
 * believed from its end, for as long as those who added to it are trusted; what a client wrote there itself is never reached.
 *
 * @param peer the other end of the connection
 */
export function clientAddress (peer: string, forwardedFor: string | undefined, trusted: AddressRanges): string {
  let address = bareAddress(peer)
  const entries = forwardedFor?.split(',') ?? []
  while (trusted.includes(address)) {
    const entry = entries.pop()
    const next = entry === undefined ? null : readEntry(entry)
    if (next === null) break
    address = next
  }
  return address
}
