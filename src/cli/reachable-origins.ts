import { networkInterfaces } from 'node:os'

type Interfaces = ReturnType<typeof networkInterfaces>

/** Addresses that a client can be given for a listening address, this machine's own first. */
export function reachableOrigins (host: string, port: number, interfaces: () => Interfaces = networkInterfaces): readonly string[] {
  const bare = host.replace(/^\[(.*)\]$/, '$1')
  if (bare !== '0.0.0.0' && bare !== '::') return [originOf(bare, port)]
  const [outside] = Object.values(interfaces()).flatMap((addresses) => addresses ?? [])
    .filter((address) => !address.internal && address.family === 'IPv4')
  return [originOf('127.0.0.1', port), ...(outside === undefined ? [] : [originOf(outside.address, port)])]
}

const originOf = (host: string, port: number): string => `http://${host.includes(':') ? `[${host}]` : host}:${port}`
