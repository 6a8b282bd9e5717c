import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'

const script = path.resolve(import.meta.dirname, '../../../docker/healthcheck.mjs')
const servers: Server[] = []

/** @returns the port of a server that answers /health with a status and everything else with 404. */
async function listen (status: number): Promise<number> {
  const server = createServer((request, response) => {
    response.writeHead(request.url === '/health' ? status : 404).end('{}')
  })
  servers.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('not listening on a port')
  return address.port
}

async function check (environment: Record<string, string>, ...words: string[]): Promise<{ code: number, output: string }> {
  const child = spawn(process.execPath, [script, ...words], { env: environment, stdio: ['ignore', 'ignore', 'pipe'] })
  let output = ''
  child.stderr.on('data', (chunk: Buffer) => { output += chunk.toString() })
  const [code] = await once(child, 'close') as [number]
  return { code, output }
}

afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.close()
    await once(server, 'close')
  }
})

describe("the container's health check", () => {
  test.each(['0.0.0.0', '127.0.0.1'])('passes when /health answers 200 and the server listens on %s', async (host) => {
    const port = await listen(200)
    expect(await check({ DRAWBRIDGE_HOST: host, DRAWBRIDGE_PORT: String(port) })).toEqual({ code: 0, output: '' })
  })

  test('reads its variables as the server does', async () => {
    const port = await listen(200)
    expect(await check({ DRAWBRIDGE_HOST: ' 127.0.0.1 ', DRAWBRIDGE_PORT: ` ${port} ` })).toEqual({ code: 0, output: '' })
    expect((await check({ DRAWBRIDGE_HOST: '[::]', DRAWBRIDGE_PORT: '1' })).output).toMatch(/^http:\/\/::1:1\/health: /)
    for (const absent of ['', ' ', 'tcp://10.0.0.1:8080']) {
      expect((await check({ DRAWBRIDGE_HOST: '', DRAWBRIDGE_PORT: absent })).output).toMatch(/^(http:\/\/127\.0\.0\.1:8080\/health: .*\n)?$/)
    }
  })

  test('asks over TLS where the server has a certificate, whosever it is', async () => {
    const pem = (name: string): Buffer => readFileSync(path.resolve(import.meta.dirname, `../../support/certificates/${name}.pem`))
    const server = createTlsServer({ cert: pem('first.cert'), key: pem('first.key') }, (_request, response) => { response.end('{}') })
    servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const environment = { DRAWBRIDGE_PORT: String((server.address() as AddressInfo).port) }
    expect(await check({ ...environment, DRAWBRIDGE_TLS_CERT: '/run/secrets/cert.pem' })).toEqual({ code: 0, output: '' })
    expect((await check({ ...environment, DRAWBRIDGE_TLS_CERT: 'off' })).code).toBe(1)
  })

  test('asks for another path with the first key of the server, and for its own without', async () => {
    const asked: [string | undefined, string | undefined][] = []
    const server = createServer((request, response) => {
      asked.push([request.url, request.headers.authorization])
      response.end('{}')
    })
    servers.push(server)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const DRAWBRIDGE_PORT = String((server.address() as AddressInfo).port)
    const folder = mkdtempSync(path.join(tmpdir(), 'healthcheck-'))
    const DRAWBRIDGE_API_KEY_FILE = path.join(folder, 'keys')
    writeFileSync(DRAWBRIDGE_API_KEY_FILE, '# for the probe\nk-file\nk-other\n')
    expect((await check({ DRAWBRIDGE_PORT, DRAWBRIDGE_API_KEY_FILE }, '/ready')).code).toBe(0)
    expect((await check({ DRAWBRIDGE_PORT, DRAWBRIDGE_API_KEY: 'k-one,k-two' }, '/ready')).code).toBe(0)
    expect((await check({ DRAWBRIDGE_PORT }, '/ready')).code).toBe(0)
    expect((await check({ DRAWBRIDGE_PORT, DRAWBRIDGE_API_KEY_FILE })).code).toBe(0)
    expect(asked).toEqual([['/ready', 'Bearer k-file'], ['/ready', 'Bearer k-one'], ['/ready', undefined], ['/health', undefined]])
    rmSync(folder, { recursive: true })
    expect((await check({ DRAWBRIDGE_PORT, DRAWBRIDGE_API_KEY_FILE }, '/ready')).output).toContain('ENOENT')
  })

  test('fails when the answer is another', async () => {
    const port = await listen(503)
    const { code, output } = await check({ DRAWBRIDGE_HOST: '0.0.0.0', DRAWBRIDGE_PORT: String(port) })
    expect(code).toBe(1)
    expect(output).toBe(`http://127.0.0.1:${port}/health: status 503\n`)
  })

  test('fails when nobody listens', async () => {
    const port = await listen(200)
    servers[0]?.close()
    const { code, output } = await check({ DRAWBRIDGE_PORT: String(port) })
    expect(code).toBe(1)
    expect(output).toContain('ECONNREFUSED')
  })
})
