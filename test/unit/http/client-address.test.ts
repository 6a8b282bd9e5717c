import { afterEach, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { AddressRanges } from '../../../src/domain/address-ranges.ts'
import { clientAddress } from '../../../src/http/client-address.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const proxies = new AddressRanges(['10.0.0.0/8', '::1'])

describe('the address of whoever asks', () => {
  it.each([
    ['nobody is a proxy', '203.0.113.5', '1.2.3.4', '203.0.113.5'],
    ['a proxy says it', '10.0.0.1', '1.2.3.4', '1.2.3.4'],
    ['a proxy is seen over a socket for both families', '::ffff:10.0.0.1', '1.2.3.4', '1.2.3.4'],
    ['the client made up the beginning', '10.0.0.1', '6.6.6.6, 1.2.3.4', '1.2.3.4'],
    ['the client says that it is of here', '10.0.0.1', '127.0.0.1, 1.2.3.4', '1.2.3.4'],
    ['two proxies stand in a row', '10.0.0.1', '1.2.3.4, 10.9.9.9', '1.2.3.4'],
    ['a proxy asks by itself', '10.0.0.1', undefined, '10.0.0.1'],
    ['all of the list are proxies', '::1', '10.0.0.2,10.0.0.3', '10.0.0.2'],
    ['there is a port', '10.0.0.1', '1.2.3.4:5678', '1.2.3.4'],
    ['there are brackets', '10.0.0.1', '[2001:db8::1]:443', '2001:db8::1'],
    ['the proxy does not know', '10.0.0.1', 'unknown', '10.0.0.1'],
    ['what the proxy says is no address', '10.0.0.1', '1.2.3.4, "><script>', '10.0.0.1'],
    ['the list is empty', '10.0.0.1', '', '10.0.0.1']
  ])('when %s', (_when, peer, forwardedFor, expected) => {
    expect(clientAddress(peer, forwardedFor, proxies)).toBe(expected)
  })
})

describe('behind a proxy', () => {
  const apps: FastifyInstance[] = []
  afterEach(async () => { for (const app of apps.splice(0)) await app.close() })

  const ask = async (trustedProxies: readonly string[], headers: Record<string, string>) => {
    const testApp = await buildTestApp([createTestHost(createScriptedInference(() => answerEvents(['x'])))], { config: { trustedProxies: [...trustedProxies] } })
    apps.push(testApp.app)
    // It comes from 127.0.0.1. Only admins are told that there is no such adapter.
    const unload = await testApp.app.inject({ method: 'POST', url: '/v1/unload_lora_adapter', payload: { lora_name: 'x' }, headers })
    await testApp.app.inject({ method: 'GET', url: '/v1/models', headers })
    return { status: unload.statusCode, tenant: testApp.log().findLast(({ msg }) => msg === 'request finished')?.['tenant'] }
  }

  it('clients are told apart by what a trusted one says', async () => {
    expect(await ask(['127.0.0.1'], { 'x-forwarded-for': '1.2.3.4' })).toMatchObject({ tenant: '1.2.3.4' })
    expect(await ask([], { 'x-forwarded-for': '1.2.3.4' })).toMatchObject({ tenant: '127.0.0.1' })
  })

  it('another one is trusted when the settings change', async () => {
    const testApp = await buildTestApp([createTestHost(createScriptedInference(() => answerEvents(['x'])))])
    apps.push(testApp.app)
    const tenant = async (): Promise<unknown> => {
      await testApp.app.inject({ method: 'GET', url: '/v1/models', headers: { 'x-forwarded-for': '1.2.3.4' } })
      return testApp.log().findLast(({ msg }) => msg === 'request finished')?.['tenant']
    }
    expect(await tenant()).toBe('127.0.0.1')
    testApp.live.trustedProxies = ['127.0.0.0/8']
    expect(await tenant()).toBe('1.2.3.4')
  })

  it('nobody is a program of this machine', async () => {
    expect((await ask([], {})).status).toBe(404)
    expect((await ask(['127.0.0.0/8'], {})).status).toBe(403)
    expect((await ask(['127.0.0.0/8'], { 'x-forwarded-for': '127.0.0.1' })).status).toBe(403)
  })
})
