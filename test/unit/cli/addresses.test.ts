import { describe, expect, it } from 'vitest'
import { describeListenError } from '../../../src/cli/listen-error.ts'
import { reachableOrigins } from '../../../src/cli/reachable-origins.ts'
import { StartupError } from '../../../src/domain/startup-error.ts'

const address = (ip: string, internal: boolean) =>
  ({ address: ip, netmask: '255.255.255.0', family: 'IPv4', mac: '00:00:00:00:00:00', internal, cidr: null }) as const

const interfaces = () => ({ lo: [address('127.0.0.1', true)], eth0: [address('192.168.1.5', false)] })

describe('addresses to give to clients', () => {
  it.each([
    ['127.0.0.1', ['http://127.0.0.1:80']],
    ['::1', ['http://[::1]:80']],
    ['[::1]', ['http://[::1]:80']],
    ['example.com', ['http://example.com:80']],
    ['0.0.0.0', ['http://127.0.0.1:80', 'http://192.168.1.5:80']],
    ['::', ['http://127.0.0.1:80', 'http://192.168.1.5:80']]
  ])('for %s', (host, origins) => { expect(reachableOrigins(host, 80, 'http', interfaces)).toEqual(origins) })

  it('are this machine alone when there is no network', () => {
    expect(reachableOrigins('0.0.0.0', 80, 'https', () => ({ lo: [address('127.0.0.1', true)] }))).toEqual(['https://127.0.0.1:80'])
  })
})

describe('errors of listening', () => {
  const where = { host: 'h', port: 80, hostSource: '--host', portSource: 'DRAWBRIDGE_PORT' }

  it.each([
    ['EADDRINUSE', 'DRAWBRIDGE_PORT is 80, but another program listens there already; choose another port, or 0 for a free one'],
    ['EACCES', 'DRAWBRIDGE_PORT is 80, but this user may not listen there; ports from 1024 on are open to all users'],
    ['EADDRNOTAVAIL', '--host is "h", which is no address of this machine'],
    ['ENOTFOUND', '--host is "h", a name that cannot be resolved to an address'],
    ['EAFNOSUPPORT', '--host is "h", but this machine has no network of that kind']
  ])('%s names the setting at fault', (code, message) => {
    const described = describeListenError(Object.assign(new Error(code), { code }), where)
    expect(described).toBeInstanceOf(StartupError)
    expect((described as StartupError).message).toBe(message)
  })

  it('leaves others as they are', () => {
    const error = new Error('something else')
    expect(describeListenError(error, where)).toBe(error)
  })
})
