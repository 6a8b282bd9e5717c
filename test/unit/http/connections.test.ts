import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, describe, expect, it } from 'vitest'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Config } from '../../../src/config/config.ts'
import { applyConnectionSettings } from '../../../src/http/apply-connection-settings.ts'
import { securityHeadersPlugin } from '../../../src/http/plugins/security-headers.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp, listen } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const apps: FastifyInstance[] = []
afterEach(async () => { for (const app of apps.splice(0)) await app.close() })

async function setUp (config: Partial<Config> = {}) {
  const testApp = await buildTestApp([createTestHost(createScriptedInference(() => answerEvents(['x'])))], { config })
  apps.push(testApp.app)
  return { ...testApp, ...await listen(testApp.app) }
}

describe('connections', () => {
  it('beyond the limit are closed, and the log says so once', async () => {
    const { port, log } = await setUp({ maxConnections: 2 })
    const kept = [connect(port, '127.0.0.1'), connect(port, '127.0.0.1')]
    for (const socket of kept) {
      socket.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n')
      await once(socket, 'data')
    }
    for (let count = 0; count < 3; count++) {
      const dropped = connect(port, '127.0.0.1')
      dropped.on('error', () => {})
      await once(dropped, 'close')
    }
    const told = log().filter(({ msg }) => msg === 'too many connections, new ones are closed')
    expect(told).toMatchObject([{ maxConnections: 2 }])
    // The others are served as before.
    kept[0]?.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n')
    expect(String(await once(kept[0] as NonNullable<typeof kept[0]>, 'data'))).toContain('200 OK')
    for (const socket of kept) socket.destroy()
  })

  it('stay open between requests for as long as is configured', async () => {
    const { app } = await setUp({ idleTimeoutMs: 12_345 })
    expect(app.server.keepAliveTimeout).toBe(12_345)
  })

  it('have other limits when the settings change', async () => {
    const { app } = await setUp({ maxConnections: 2, idleTimeoutMs: 1000 })
    applyConnectionSettings(app.server, { maxConnections: 'off', idleTimeoutMs: 2000 })
    expect(app.server).toMatchObject({ maxConnections: Infinity, keepAliveTimeout: 2000 })
    applyConnectionSettings(app.server, { maxConnections: 7, idleTimeoutMs: 2000 })
    expect(app.server.maxConnections).toBe(7)
  })

  it.each([[4096, 400], [65_536, 200]])('whose headers may have %i bytes get a %i for 10,000', async (headerLimit, status) => {
    const { port } = await setUp({ headerLimit })
    const socket = connect(port, '127.0.0.1')
    socket.write(`GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\nx-long: ${'x'.repeat(10_000)}\r\n\r\n`)
    expect(await text(socket)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  })
})

describe('headers that tell browsers to be careful', () => {
  it.each([
    ['GET', '/health', 200],
    ['GET', '/nowhere', 404],
    ['PUT', '/v1/models', 405]
  ] as const)('are in the answer to %s %s', async (method, url, status) => {
    const { app } = await setUp()
    const response = await app.inject({ method, url })
    expect(response.statusCode).toBe(status)
    expect(response.headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'x-frame-options': 'DENY',
      'referrer-policy': 'no-referrer',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'cache-control': 'no-store'
    })
    expect(response.headers).not.toHaveProperty('strict-transport-security')
  })

  it('leave the policy of a page to the page', async () => {
    const page = Fastify()
    apps.push(page)
    await page.register(securityHeadersPlugin)
    page.get('/', async (_request, reply) => await reply.type('text/html').send('<p>'))
    const response = await page.inject('/')
    expect(response.headers).toMatchObject({ 'x-frame-options': 'DENY' })
    expect(response.headers).not.toHaveProperty('content-security-policy')
  })
})
