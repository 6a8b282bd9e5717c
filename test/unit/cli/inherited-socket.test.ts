import { describe, expect, it } from 'vitest'
import { inheritedSocket } from '../../../src/cli/inherited-socket.ts'

describe('a socket that systemd passes', () => {
  it('is the third descriptor, and no other process is told of it', () => {
    const environment: NodeJS.ProcessEnv = { LISTEN_PID: '42', LISTEN_FDS: '1', LISTEN_FDNAMES: 'drawbridge.socket', PATH: '/bin' }
    expect(inheritedSocket(environment, 42)).toBe(3)
    expect(environment).toEqual({ PATH: '/bin' })
  })

  it.each([[{}], [{ LISTEN_FDS: '1' }], [{ LISTEN_PID: '41', LISTEN_FDS: '1' }], [{ LISTEN_PID: '42', LISTEN_FDS: '0' }]])('is not there with %o', (environment) => {
    expect(inheritedSocket(environment, 42)).toBeNull()
  })

  it('is one', () => {
    expect(() => inheritedSocket({ LISTEN_PID: '42', LISTEN_FDS: '2' }, 42)).toThrow('The server listens on one socket, but systemd passes 2')
  })
})
