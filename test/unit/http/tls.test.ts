import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { get } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { connect as connectTcp } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Server as TlsServer, TLSSocket } from 'node:tls'
import { connect as connectTls } from 'node:tls'
import { afterEach, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { Lifecycle } from '../../../src/http/lifecycle.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp, listen } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const pem = (name: string): Buffer => readFileSync(new URL(`../../support/certificates/${name}.pem`, import.meta.url))
const pairOf = (name: string) => ({ cert: pem(`${name}.cert`), key: pem(`${name}.key`) })

const apps: FastifyInstance[] = []
afterEach(async () => { for (const app of apps.splice(0)) await app.close() })

async function setUp (lifecycle = new Lifecycle()) {
  const { app } = await buildTestApp([createTestHost(createScriptedInference(() => answerEvents(['x'])))], { tls: pairOf('first'), lifecycle })
  apps.push(app)
  return { app, ...await listen(app) }
}

async function ask (port: number, ca: string): Promise<{ readonly status: number | undefined, readonly body: string, readonly subject: string | string[] | undefined }> {
  const request = get({ port, host: '127.0.0.1', path: '/health', ca: pem(`${ca}.cert`), agent: false })
  const [response] = await once(request, 'response') as [IncomingMessage]
  const subject = (response.socket as TLSSocket).getPeerCertificate().subject.CN
  return { status: response.statusCode, body: await text(response), subject }
}

describe('a server with a certificate', () => {
  it('speaks HTTPS, to clients that know whom they trust', async () => {
    const { port } = await setUp()
    expect(await ask(port, 'first')).toEqual({ status: 200, body: '{"status":"ok"}', subject: 'first' })
    await expect(ask(port, 'second')).rejects.toThrow(/self-signed/)
  })

  it('shows a new one to the next connection', async () => {
    const { app, port } = await setUp()
    ;(app.server as unknown as TlsServer).setSecureContext(pairOf('second'))
    expect((await ask(port, 'second')).subject).toBe('second')
  })

  it('ends plain HTTP without an answer', async () => {
    const { port } = await setUp()
    const socket = connectTcp(port, '127.0.0.1')
    socket.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n')
    socket.on('error', () => {})
    let answer = ''
    socket.on('data', (bytes) => { answer += bytes.toString('latin1') })
    await once(socket, 'close')
    expect(answer).not.toContain('HTTP/')
  })

  it('lets those that still negotiate be answered when another process takes over', async () => {
    const lifecycle = new Lifecycle()
    const { port } = await setUp(lifecycle)
    const early = connectTcp(port, '127.0.0.1')
    await once(early, 'connect')
    // The server has seen it when it has answered one that came later.
    await ask(port, 'first')
    const over = lifecycle.handOver()
    const socket = connectTls({ socket: early, ca: pem('first.cert'), servername: 'localhost' })
    await once(socket, 'secureConnect')
    socket.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n')
    expect(await text(socket)).toMatch(/^HTTP\/1\.1 200 OK\r\n[^]*connection: close\r\n/)
    await over
  })

  it('does not wait for idle and half-open connections when it closes', async () => {
    const { app, port } = await setUp()
    const half = connectTcp(port, '127.0.0.1')
    const idle = connectTls({ port, host: '127.0.0.1', ca: pem('first.cert') })
    for (const socket of [half, idle]) socket.on('error', () => {})
    // The server has seen all of them when it has answered one that came later.
    await Promise.all([once(half, 'connect'), once(idle, 'secureConnect')])
    await ask(port, 'first')
    const ends = [half, idle].map(async (socket) => await once(socket, 'close'))
    await app.close()
    await Promise.all(ends)
  })
})
