import { readFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadConfig } from '../../../src/config/load-config.ts'
import { options, variableName } from '../../../src/config/options.ts'

/** Values by key, in the order of the file. */
function read (file: string): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>()
  for (const line of readFileSync(path.resolve(import.meta.dirname, '../../../packaging/systemd', file), 'utf8').split('\n')) {
    const [, key, value] = /^(\w+)=(.*)$/.exec(line) ?? []
    if (key !== undefined && value !== undefined) found.set(key, [...found.get(key) ?? [], value])
  }
  return found
}

const settings = read('drawbridge@.service')
const variables = Object.fromEntries((settings.get('Environment') ?? []).map((entry) => entry.split('=', 2) as [string, string]))
const seconds = (key: string): number => Number(settings.get(key)?.[0])

describe('the unit for systemd', () => {
  test('sets variables that the server knows, to values that it takes', () => {
    const names = Object.keys(variables).filter((name) => name.startsWith('DRAWBRIDGE_'))
    const known = new Set(options.filter((option) => option.hasVariable).map(variableName))
    expect(names.length).toBeGreaterThan(1)
    expect(names.filter((name) => !known.has(name))).toEqual([])
    expect(loadConfig(new Map(), { ...variables, DRAWBRIDGE_PORT: '8081' }).config).toMatchObject({ port: 8081, logFormat: 'json' })
  })

  test('lets running answers finish before it kills', () => {
    const { drainTimeoutMs, maxConnections } = loadConfig(new Map(), { ...variables, DRAWBRIDGE_PORT: '8081' }).config
    expect(seconds('TimeoutStopSec') * 1000).toBeGreaterThan(drainTimeoutMs)
    expect(seconds('LimitNOFILE')).toBeGreaterThan(Number(maxConnections))
    // Engines must not hear the signal themselves: they would end under their answers.
    expect(settings.get('KillMode')).toEqual(['mixed'])
  })

  test('reads the settings again as the server expects to be told', () => {
    expect(settings.get('ExecReload')).toEqual(['/bin/kill -HUP $MAINPID'])
  })

  test.each([
    ['User', 'drawbridge'], ['UMask', '0077'], ['ProtectSystem', 'strict'], ['ProtectHome', 'yes'], ['NoNewPrivileges', 'yes'], ['CapabilityBoundingSet', ''], ['PrivateTmp', 'yes']
  ])('has %s=%s', (key, value) => { expect(settings.get(key)).toEqual([value]) })

  test('does not keep V8 from compiling', () => {
    expect(settings.has('MemoryDenyWriteExecute')).toBe(false)
  })

  test('is started when the server says that it is ready', () => {
    expect([settings.get('Type'), settings.get('NotifyAccess')]).toEqual([['notify'], ['all']])
    expect(settings.get('TimeoutStartSec')).toEqual(['15min'])
  })
})

describe('the socket for systemd', () => {
  const socket = read('drawbridge.socket')
  const dropIn = read('socket.conf')

  test('is one, which both servers take connections from', () => {
    expect(socket.get('ListenStream')).toHaveLength(1)
    expect(socket.get('Service')).toEqual(['drawbridge@a.service'])
    expect([dropIn.get('Sockets'), dropIn.get('Requires')]).toEqual([['drawbridge.socket'], ['drawbridge.socket']])
  })

  test('leaves the server a port that it takes, though it does not listen there', () => {
    const overridden = { ...variables, ...Object.fromEntries((dropIn.get('Environment') ?? []).map((entry) => entry.split('=', 2) as [string, string])) }
    expect(() => loadConfig(new Map(), { ...variables, DRAWBRIDGE_PORT: 'a' })).toThrow('DRAWBRIDGE_PORT')
    expect(loadConfig(new Map(), overridden).config.port).toBe(8080)
  })
})
