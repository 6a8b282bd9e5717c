import type { Config } from './config.ts'
import { BlockList, isIP } from 'node:net'
import { isAddressRange } from '../domain/address-ranges.ts'
import { StartupError } from '../domain/startup-error.ts'

const loopback = new BlockList()
loopback.addSubnet('127.0.0.0', 8, 'ipv4')
loopback.addAddress('::1', 'ipv6')

/** Whether only this machine can reach the address. A name other than `localhost` may be anything, so it does not count. */
export function isLoopback (host: string): boolean {
  const address = host.replace(/^\[(.*)\]$/, '$1')
  if (address.toLowerCase() === 'localhost') return true
  const family = isIP(address)
  return family !== 0 && loopback.check(address, family === 6 ? 'ipv6' : 'ipv4')
}

/**
 * Checks what concerns several settings at once.
 * @param origins where the settings come from, by flag.
 * @returns warnings.
 * @throws StartupError when the server must not start like this.
 */
export function checkConfig (config: Config, origins: ReadonlyMap<string, string>): readonly string[] {
  const source = (flag: string): string => origins.get(flag) ?? `--${flag}`
  const warnings: string[] = []

  const hasKeys = config.apiKeys.length + config.adminKeys.length + config.tenants.length > 0
  if (!isLoopback(config.host) && !hasKeys && !config.insecureNoAuth) {
    throw new StartupError(`${source('host')} is "${config.host}", where others can reach the server, and no API key is set; ` +
      'set --api-key-file FILE, or --insecure-no-auth if everybody there may use it')
  }
  if (config.insecureNoAuth && hasKeys) {
    warnings.push(`${source('insecure-no-auth')} changes nothing, because API keys are set and every request needs one`)
  }

  if ((config.tlsCert === 'off') !== (config.tlsKey === 'off')) {
    const [given, missing] = config.tlsCert === 'off' ? ['tls-key', 'tls-cert'] : ['tls-cert', 'tls-key']
    throw new StartupError(`${source(given)} is set, but --${missing} is not; TLS needs both`)
  }

  for (const range of config.trustedProxies) {
    if (!isAddressRange(range)) throw new StartupError(`${source('trusted-proxy')} is "${range}", but must be an address or a range of them, such as 10.0.0.0/8`)
  }

  for (const origin of config.corsOrigins) {
    if (origin !== '*' && !isOrigin(origin)) {
      throw new StartupError(`${source('cors-origin')} is "${origin}", but must be * or an origin such as https://chat.example.com, without a path`)
    }
  }

  const { slots, lanes, stepTokens, threads } = config
  if (slots !== 'auto' && lanes !== 'auto' && slots % lanes !== 0) {
    throw new StartupError(`${source('slots')} is ${slots}, which cannot be divided evenly among ${lanes} lanes (${source('lanes')})`)
  }
  const laneCount = lanes === 'auto' ? 1 : lanes
  if (slots !== 'auto' && slots / laneCount > stepTokens) {
    throw new StartupError(`${source('step-tokens')} is ${stepTokens}, but must be at least ${slots / laneCount}, ` +
      `so that all ${slots / laneCount} slots of a lane can go on in one step`)
  }
  if (threads !== 'auto' && lanes !== 'auto' && lanes > threads) {
    throw new StartupError(`${source('lanes')} is ${lanes}, but must be at most ${threads}, so that each lane has a thread (${source('threads')})`)
  }
  if (config.gpu === 'off' && config.gpuLayers !== 'auto' && config.gpuLayers !== 0) {
    throw new StartupError(`${source('gpu-layers')} is ${config.gpuLayers}, but ${source('gpu')} is off`)
  }

  if (config.speculate === 'off' && config.models.some(({ draftModel }) => draftModel !== null)) {
    warnings.push(`${source('draft-model')} changes nothing, because ${source('speculate')} is off`)
  }

  const fakeFlags = [...origins.keys()].filter((flag) => flag.startsWith('fake-'))
  if (fakeFlags.length > 0 && !config.models.some(({ ref }) => ref === 'fake')) {
    warnings.push(`${fakeFlags.map(source).join(', ')} changes nothing, because no model is "fake"`)
  }
  return warnings
}

function isOrigin (text: string): boolean {
  return URL.canParse(text) && new URL(text).origin === text
}
