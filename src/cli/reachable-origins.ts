import { networkInterfaces } from 'node:os'

type Interfaces = ReturnType<typeof networkInterfaces>

/** Addresses that a client can be given for a listening address, this machine's own first. */
export function reachableOrigins (host: string, port: number, scheme = 'http', interfaces: () => Interfaces = networkInterfaces): readonly string[] {
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  if (bare !== '0.0.0.0' && bare !== '::') return [originOf(scheme, bare, port)]
  const [outside] = Object.values(interfaces()).flatMap((addresses) => addresses ?? [])
    .filter((address) => !address.internal && address.family === 'IPv4')
  return [originOf(scheme, '127.0.0.1', port), ...(outside === undefined ? [] : [originOf(scheme, outside.address, port)])]
}

const originOf = (scheme: string, host: string, port: number): string => `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`
