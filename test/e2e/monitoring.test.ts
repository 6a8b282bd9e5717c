import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { text as readText } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expressions, labelsIn, ownSeries, seriesIn } from '../support/monitoring-files.ts'
import { freePort, neutralEnvironment, type ServerProcess, startServer, waitUntil } from '../support/server-process.ts'

const certificates = fileURLToPath(new URL('../support/certificates/', import.meta.url))

/** What a server tells that speaks TLS. */
async function metricsOfTls (): Promise<string> {
  const port = await freePort()
  const main = fileURLToPath(new URL('../../dist/src/cli/main.js', import.meta.url))
  const child = spawn(process.execPath, [
    main, '--model', 'fake', '--port', String(port), '--tls-cert', path.join(certificates, 'first.cert.pem'), '--tls-key', path.join(certificates, 'first.key.pem')
  ], { env: neutralEnvironment(), stdio: ['ignore', 'pipe', 'inherit'] })
  const exited = once(child, 'close')
  try {
    let output = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => { output += part })
    await waitUntil(() => output.includes('"msg":"ready"'), 'the server')
    const asked = get({ host: '127.0.0.1', port, path: '/metrics', agent: false, ca: readFileSync(path.join(certificates, 'first.cert.pem')) })
    const [response] = await once(asked, 'response') as [IncomingMessage]
    return await readText(response)
  } finally {
    child.kill('SIGKILL')
    await exited
  }
}

describe('dashboards and alert rules, on a server that runs', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-monitoring-'))
  let server: ServerProcess
  /** Labels by series. */
  const live = new Map<string, Set<string>>()

  beforeAll(async () => {
    const adapter = path.join(directory, 'a.gguf')
    writeFileSync(adapter, 'x')
    server = await startServer(['--model', 'fake', '--adapter', `pirate=${adapter}`, '--data-dir', directory])
    for (const model of ['fake', 'pirate', 'nobody']) {
      await fetch(`${server.baseURL}/completions`, {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model, prompt: 'Hello there', max_tokens: 5 })
      })
    }
    const text = `${await (await fetch(`${server.origin}/metrics`)).text()}\n${await metricsOfTls()}`
    for (const [, name = '', labels = ''] of text.matchAll(/^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? \S+$/gm)) {
      const known = live.get(name) ?? new Set<string>()
      for (const [, label = ''] of labels.matchAll(/(\w+)="(?:[^"\\]|\\.)*"/g)) known.add(label)
      live.set(name, known)
    }
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    rmSync(directory, { recursive: true, force: true })
  })

  it.each(expressions.map((expression) => [expression.where, expression] as const))('%s asks for what is there', (_, expression) => {
    const series = seriesIn(expression.text).filter((name) => !ownSeries.has(name))
    expect(series.filter((name) => !live.has(name))).toEqual([])
    const anywhere = new Set(series.flatMap((name) => [...live.get(name) ?? []]))
    expect(labelsIn(expression).filter(({ series: name, label }) => !(name === null ? anywhere : live.get(name))?.has(label))).toEqual([])
  })

  it('would notice what is not', () => {
    expect(live.has('vllm:nothing')).toBe(false)
    expect(live.get('drawbridge_http_requests_total')).toEqual(new Set(['method', 'route', 'status']))
  })
})
