import { BlockList, isIP } from 'node:net'

interface Range {
  readonly address: string
  readonly prefix: number
  readonly family: 'ipv4' | 'ipv6'
}

/** An IPv4 address that a socket for both families shows in the dress of the other one, as itself. */
export const bareAddress = (address: string): string => address.replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/i, '')

/** `10.0.0.0/8`, `fd00::/8`, or a single address; null when the text is neither. */
function parseRange (text: string): Range | null {
  const [, address = '', bits] = /^([^/]*)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(address)
  if (version === 0) return null
  const longest = version === 4 ? 32 : 128
  const prefix = bits === undefined ? longest : Number(bits)
  return prefix > longest ? null : { address, prefix, family: version === 4 ? 'ipv4' : 'ipv6' }
}

export const isAddressRange = (text: string): boolean => parseRange(text) !== null

/** A set of network addresses. */
export class AddressRanges {
  readonly #list = new BlockList()

  /** @param ranges in CIDR notation or single addresses; see {@link isAddressRange} */
  constructor (ranges: readonly string[]) {
    for (const text of ranges) {
      const range = parseRange(text)
      if (range === null) throw new TypeError(`"${text}" is no range of addresses`)
      this.#list.addSubnet(range.address, range.prefix, range.family)
    }
  }

  /** False for what is no address. */
  includes (address: string): boolean {
    const bare = bareAddress(address)
    const version = isIP(bare)
    return version !== 0 && this.#list.check(bare, version === 4 ? 'ipv4' : 'ipv6')
  }
}
