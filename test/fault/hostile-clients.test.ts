import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { hostileBodies, hostileGrammars, hostilePaths, injectingNames, smugglingAttempts } from '../../bench/hostile/attempts.ts'
import { statusesOf } from '../../bench/hostile/raw-connection.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'

const directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-hostile-'))
const secret = 'nobody-may-read-this'
let server: ServerProcess

beforeAll(async () => {
  mkdirSync(path.join(directory, 'adapters'))
  writeFileSync(path.join(directory, 'secret.gguf'), secret)
  writeFileSync(path.join(directory, 'adapters/x.gguf'), 'x')
  server = await startServer(['--model', 'fake', '--adapter-dir', path.join(directory, 'adapters'), '--body-limit', '8MiB'])
})
afterAll(async () => {
  await server?.[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true, force: true })
})
// Whatever was tried, the process is the one that it was, and answers others.
afterEach(async () => {
  expect(server.child.exitCode).toBeNull()
  const answer = await post('/chat/completions', { model: 'fake', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 2 })
  expect(answer.status).toBe(200)
  expect(server.output()).not.toContain('uncaught error')
})

interface Answer { readonly status: number, readonly text: string }

async function post (url: string, body: object | string): Promise<Answer> {
  const response = await fetch(`${server.baseURL}${url}`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: typeof body === 'string' ? body : JSON.stringify(body)
  })
  return { status: response.status, text: await response.text() }
}

async function open (): Promise<Socket> {
  const socket = connect(Number(new URL(server.origin).port), '127.0.0.1')
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}

/** Sends bytes as they are, and reads until the server ends the connection. */
async function raw (...parts: readonly (string | Buffer)[]): Promise<string> {
  const socket = await open()
  let answer = ''
  socket.setEncoding('latin1').on('data', (text: string) => { answer += text })
  // The server may be the first to end it.
  const closed = once(socket, 'close').catch(() => {})
  for (const part of parts) socket.write(part)
  await closed
  return answer
}

describe('paths', () => {
  it.each([...hostilePaths])('%s lead nowhere', async (url) => {
    const answer = await raw(`GET ${url} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n`)
    expect(statusesOf(answer)).toHaveLength(1)
    expect([400, 404]).toContain(statusesOf(answer)[0])
    expect(answer).not.toContain('root:')
  })

  it.each(['../secret.gguf', 'x/../../secret.gguf', '/etc/passwd', 'file:///etc/passwd', '~/.ssh/id_rsa', '..\\secret.gguf', 'secret.gguf\0.txt', 'http://127.0.0.1:1/x', 'https://169.254.169.254/latest', 'hf:../../x'])('of adapters do not leave their folder: %s', async (reference) => {
    const { status, text } = await post('/load_lora_adapter', { lora_name: 'spy', lora_path: reference })
    expect([400, 403, 404]).toContain(status)
    expect(text).not.toContain(secret)
    expect(text).not.toContain('root:')
  })

  it('are not made of the names of adapters', async () => {
    const files = (): string[] => readdirSync(directory, { encoding: 'utf8', recursive: true }).filter((file) => !path.basename(file).startsWith('.drawbridge-adapters'))
    const before = files()
    expect((await post('/load_lora_adapter', { lora_name: 'a/../../b', lora_path: 'x.gguf' })).status).toBe(200)
    expect((await post('/unload_lora_adapter', { lora_name: 'a/../../b' })).status).toBe(200)
    expect(files()).toEqual(before)
    for (const name of ['../x', 'a\r\nb', '\0', 'x'.repeat(10_000)]) {
      const { status } = await post('/load_lora_adapter', { lora_name: name, lora_path: 'x.gguf' })
      expect(status).toBe(400)
    }
  })
})

describe('headers', () => {
  it('do not take in what would begin another one', async () => {
    const answer = await raw('GET /health HTTP/1.1\r\nhost: x\r\nx-request-id: a\tb set-cookie: c=d\r\nconnection: close\r\n\r\n')
    expect(answer).toMatch(/x-request-id: req_[0-9a-f]{32}\r\n/)
    expect(answer).not.toContain('set-cookie')
  })

  it.each([...injectingNames])('do not carry what is asked for: %j', async (model) => {
    const response = await fetch(`${server.baseURL}/chat/completions`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model, messages: [{ role: 'user', content: 'Hi' }] })
    })
    expect(response.status).toBe(404)
    expect(response.headers.has('set-cookie')).toBe(false)
    await response.text()
  })

  it('are limited', async () => {
    expect(statusesOf(await raw(`GET /health HTTP/1.1\r\nhost: x\r\nx: ${'a'.repeat(20_000)}\r\n\r\n`))).toEqual([400])
    expect(statusesOf(await raw(`GET /health HTTP/1.1\r\nhost: x\r\n${Array.from({ length: 5000 }, (_, index) => `h${index}: 1`).join('\r\n')}\r\n\r\n`))).toEqual([400])
    expect(statusesOf(await raw(`GET /${'a'.repeat(100_000)} HTTP/1.1\r\nhost: x\r\n\r\n`))).toEqual([400])
  })
})

describe('requests that two servers would read differently', () => {
  it.each(smugglingAttempts.map(({ name, bytes }) => [name, bytes] as const))('are refused with their connection: %s', async (_, bytes) => {
    const answer = await raw(bytes.replaceAll('HOST', 'x'))
    expect(statusesOf(answer)).toEqual([400])
    expect(answer).not.toContain('vllm:')
  })
})

describe('bodies', () => {
  const head = 'POST /v1/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n'

  it('that are announced too large are not waited for', async () => {
    expect(statusesOf(await raw(`${head}content-length: 999999999\r\n\r\n{`))).toEqual([413])
  })

  it('that turn out too large are not kept', async () => {
    const socket = await open()
    let answer = ''
    socket.setEncoding('latin1').on('data', (text: string) => { answer += text })
    const closed = once(socket, 'close').catch(() => {})
    socket.write(`${head}transfer-encoding: chunked\r\n\r\n`)
    const chunk = `10000\r\n${'a'.repeat(0x10000)}\r\n`
    let sentBytes = 0
    // Far more than the limit, if it were let.
    while (socket.writable && sentBytes < 256 * 1024 ** 2) {
      sentBytes += chunk.length
      if (!socket.write(chunk)) await Promise.race([once(socket, 'drain').catch(() => {}), closed])
    }
    await closed
    expect(sentBytes).toBeLessThan(128 * 1024 ** 2)
    // A client that goes on sending may lose the answer with its connection.
    expect(statusesOf(answer).filter((status) => status !== 413)).toEqual([])
  })

  it.each(hostileBodies('fake').map((attempt) => [attempt.name, attempt] as const))('are refused: %s', async (_, { path: url, body, statuses }) => {
    const { status, text } = await post(url.slice('/v1'.length), body)
    expect(statuses).toContain(status)
    expect(text.length).toBeLessThan(20_000)
  })
})

describe('grammars', () => {
  it.each(hostileGrammars('fake').map((attempt) => [attempt.name, attempt] as const))('end in an answer, while others are served: %s', async (_, { path: url, body, statuses }) => {
    let isAnswered = false
    const asked = post(url.slice('/v1'.length), body).finally(() => { isAnswered = true })
    expect((await fetch(`${server.origin}/health`)).status).toBe(200)
    const { status } = await asked
    expect(isAnswered).toBe(true)
    expect(statuses).toContain(status)
  })
})

describe('connections', () => {
  it('of which 5,000 idle keep nobody out', async () => {
    const sockets: Socket[] = []
    for (let batch = 0; batch < 50; batch++) sockets.push(...await Promise.all(Array.from({ length: 100 }, open)))
    // Half of them have begun a request.
    for (const socket of sockets.slice(0, 2500)) socket.write('POST /v1/completions HTTP/1.1\r\nhost: x\r\n')
    const { status } = await post('/chat/completions', { model: 'fake', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 2 })
    expect(status).toBe(200)
    expect(sockets.filter(({ destroyed }) => destroyed)).toEqual([])
    for (const socket of sockets) socket.destroy()
  })
})
