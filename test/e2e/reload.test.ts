import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import type { IncomingMessage } from 'node:http'
import { tmpdir } from 'node:os'
import path from 'node:path'
import type { TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runMain } from '../support/run-main.ts'
import { freePort, metric, neutralEnvironment, startServer, waitUntil } from '../support/server-process.ts'

let directory: string
beforeEach(() => { directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-reload-')) })
afterEach(() => rmSync(directory, { recursive: true, force: true }))

describe('a service that gets SIGHUP', () => {
  it('reads keys, limits and adapters again while a stream goes on', async () => {
    const file = path.join(directory, 'drawbridge.yaml')
    const adapter = path.join(directory, 'a.gguf')
    writeFileSync(adapter, 'x')
    const configure = (lines: readonly string[]): void => writeFileSync(file, ['models: [fake]', 'fakeStepMs: 50', ...lines].join('\n'), { mode: 0o600 })
    configure(['apiKeys: [k-old, none]', 'slots: 4'])
    await using server = await startServer(['--config', file])
    const ask = async (key: string, url = '/models'): Promise<Response> => await fetch(`${server.baseURL}${url}`, { headers: { authorization: `Bearer ${key}` } })
    const idsOf = async (key: string): Promise<string[]> => ((await (await ask(key)).json()) as { data: { id: string }[] }).data.map(({ id }) => id)

    const stream = await fetch(`${server.baseURL}/chat/completions`, {
      method: 'POST',
      headers: { authorization: 'Bearer k-old', 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'fake', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 40, ignore_eos: true, stream: true })
    })
    configure(['tenants: [{ name: team, keys: [k-new] }]', 'apiKeys: [none]', 'slots: 8', 'requestTimeout: 500ms', `adapters: [pirate=${adapter}]`])
    server.child.kill('SIGHUP')
    await waitUntil(async () => (await ask('k-new')).status === 200, 'the new key')
    expect((await ask('k-old')).status).toBe(401)
    await waitUntil(async () => (await idsOf('k-new')).includes('pirate'), 'the new adapter')
    expect(server.output()).toContain('"settings":["slots"]')

    // What began before has the time that it began with.
    const text = await stream.text()
    expect(text).toContain('"finish_reason":"length"')
    const late = await fetch(`${server.baseURL}/completions`, {
      method: 'POST',
      headers: { authorization: 'Bearer k-new', 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'fake', prompt: 'Hi', max_tokens: 40, ignore_eos: true })
    })
    expect(await late.json()).toMatchObject({ error: { code: 'generation_timeout' } })

    configure(['tenants: [{ name: team, keys: [k-new], weight: heavy }]'])
    server.child.kill('SIGHUP')
    await waitUntil(() => server.output().includes('settings cannot be read again'), 'the refusal')
    expect((await ask('k-new')).status).toBe(200)
    expect(await idsOf('k-new')).toContain('pirate')

    configure(['tenants: [{ name: team, keys: [k-new] }]', 'apiKeys: [none]', 'slots: 4'])
    server.child.kill('SIGHUP')
    await waitUntil(async () => !(await idsOf('k-new')).includes('pirate'), 'the adapter to go')
    expect(await server.stop()).toBe(0)
  })

  it('lets as many requests wait as the settings say now', async () => {
    const file = path.join(directory, 'drawbridge.yaml')
    const configure = (...lines: readonly string[]): void => writeFileSync(file, ['models: [fake]', 'slots: 1', 'fakeStepMs: 50', ...lines].join('\n'), { mode: 0o600 })
    configure('maxQueue: 1')
    await using server = await startServer(['--config', file])
    const leaving = new AbortController()
    const ask = async (maxTokens = 10_000): Promise<Response> => await fetch(`${server.baseURL}/completions`, {
      method: 'POST',
      signal: leaving.signal,
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'fake', prompt: 'Hi', max_tokens: maxTokens, ignore_eos: true, stream: true })
    })
    const waiting = async (count: number): Promise<void> => await waitUntil(async () => await metric(server.origin, 'vllm:num_requests_waiting') === count, `${count} that wait`)
    const held = [ask()]
    await waitUntil(async () => await metric(server.origin, 'vllm:num_requests_running') === 1, 'one that runs')
    held.push(ask())
    await waiting(1)
    expect((await ask()).status).toBe(429)

    configure('maxQueue: 2', 'maxConnections: 100', 'maxTokensLimit: 3')
    server.child.kill('SIGHUP')
    await waitUntil(() => server.output().includes('"changed":["max-connections","max-queue","max-tokens-limit"]'), 'the new settings')
    held.push(ask())
    await waiting(2)
    expect((await ask()).status).toBe(429)
    expect(server.output()).not.toContain('need a restart')
    leaving.abort()
    await Promise.allSettled(held)
    await waiting(0)
    const short = await fetch(`${server.baseURL}/completions`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model: 'fake', prompt: 'Hi', max_tokens: 40, ignore_eos: true })
    })
    expect(await short.json()).toMatchObject({ usage: { completion_tokens: 3 } })
    expect(await server.stop()).toBe(0)
  })

  it('goes by the keys of its database when those of its file go', async () => {
    const file = path.join(directory, 'drawbridge.yaml')
    const configure = (...lines: readonly string[]): void => writeFileSync(file, ['models: [fake]', 'host: 0.0.0.0', `dataDir: ${directory}`, ...lines].join('\n'), { mode: 0o600 })
    configure('apiKeys: [k-file]', 'adminKeys: [k-admin]')
    await using server = await startServer(['--config', file, '--public-route', 'ready'], { DRAWBRIDGE_DATA_DIR: '' })
    const ask = async (url: string, key: string, body?: object): Promise<Response> => await fetch(`${server.baseURL}${url}`, {
      method: body === undefined ? 'GET' : 'POST', headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json' }, ...(body === undefined ? {} : { body: JSON.stringify(body) })
    })
    const reload = async (words: string): Promise<void> => {
      const before = server.output().length
      server.child.kill('SIGHUP')
      await waitUntil(() => server.output().slice(before).includes(words), words)
    }

    // Others can reach it, and there would be no key at all.
    configure()
    await reload('settings cannot be read again')
    expect((await ask('/models', 'k-file')).status).toBe(200)

    const made = await runMain(['keys', 'create', 'anna', '--scope', 'admin', '--data-dir', directory])
    expect(made).toMatchObject({ code: 0 })
    const key = made.stdout.trim()
    configure('prices: [{ model: "*", prompt: 1000000 }]')
    await reload('settings read again')
    expect((await ask('/models', 'k-file')).status).toBe(401)
    expect((await ask('/models', key)).status).toBe(200)
    expect((await ask('/completions', key, { model: 'fake', prompt: 'Hi', max_tokens: 1 })).status).toBe(200)
    const report = await (await ask('/admin/usage?group_by=owner', key)).text()
    expect(JSON.parse(report)).toMatchObject({ data: [{ owner: 'anna', cost: expect.any(Number) as number }] })

    configure(`auditLog: ${path.join(directory, 'audit.jsonl')}`)
    await reload('"settings":["audit-log"]')
    expect((await ask('/models', key)).status).toBe(200)
    expect(await server.stop()).toBe(0)
  })

  it('shows the certificate that is there now', async () => {
    const certificates = fileURLToPath(new URL('../support/certificates/', import.meta.url))
    const use = (name: string): void => {
      for (const kind of ['cert', 'key']) copyFileSync(path.join(certificates, `${name}.${kind}.pem`), path.join(directory, `${kind}.pem`))
    }
    use('first')
    const port = await freePort()
    const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))
    const child = spawn(process.execPath, [
      main, '--model', 'fake', '--port', String(port), '--tls-cert', path.join(directory, 'cert.pem'), '--tls-key', path.join(directory, 'key.pem')
    ], { env: neutralEnvironment(), stdio: ['ignore', 'pipe', 'inherit'] })
    const exited = once(child, 'close') as Promise<[number | null]>
    try {
      let output = ''
      child.stdout.setEncoding('utf8').on('data', (text: string) => { output += text })
      await waitUntil(() => output.includes('"msg":"ready"'), 'the server')
      expect(output).toContain(`"url":"https://127.0.0.1:${port}/v1"`)
      const subject = async (): Promise<unknown> => {
        const request = get({ host: '127.0.0.1', port, path: '/health', agent: false, ca: ['first', 'second'].map((name) => readFileSync(path.join(certificates, `${name}.cert.pem`))) })
        const [response] = await once(request, 'response') as [IncomingMessage]
        response.resume()
        return (response.socket as TLSSocket).getPeerCertificate().subject.CN
      }
      expect(await subject()).toBe('first')
      use('second')
      child.kill('SIGHUP')
      await waitUntil(async () => await subject() === 'second', 'the new certificate')
      child.kill('SIGTERM')
      expect(await exited).toEqual([0, null])
    } finally {
      child.kill('SIGKILL')
      await exited
    }
  })
})
