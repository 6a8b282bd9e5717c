import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type OtlpCollector, startOtlpCollector } from '../support/otlp-collector.ts'
import { metric, startServer, waitUntil } from '../support/server-process.ts'

const marker = 'qzmarker'
const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'

let folder: string
let collector: OtlpCollector
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'drawbridge-telemetry-'))
  collector = await startOtlpCollector()
})
afterAll(async () => {
  await collector[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

const linesOf = async (file: string): Promise<Record<string, unknown>[]> =>
  (await readFile(file, 'utf8')).split('\n').filter(Boolean).map((line) => JSON.parse(line) as Record<string, unknown>)

describe('a server that tells everything it may', () => {
  it('sends its traces before it ends, keeps its files, and has no text of users in its log', async () => {
    const files = { audit: path.join(folder, 'audit.jsonl'), prompts: path.join(folder, 'prompts.jsonl') }
    const key = `${marker}-key`
    await using server = await startServer(
      ['--model', 'fake', '--log-level', 'trace', '--api-key', key, '--audit-log', files.audit, '--log-prompts', files.prompts],
      { OTEL_EXPORTER_OTLP_ENDPOINT: collector.origin, OTEL_BSP_SCHEDULE_DELAY: '600000' }
    )
    const body = { model: 'fake', messages: [{ role: 'user', content: `${marker} prompt` }], max_tokens: 8 }
    const send = async (authorization: string) => await fetch(`${server.baseURL}/chat/completions`, {
      method: 'POST', headers: { 'content-type': 'application/json', authorization, traceparent }, body: JSON.stringify(body)
    })
    const answer = await send(`Bearer ${key}`)
    expect(answer.status).toBe(200)
    const { choices } = await answer.json() as { choices: { message: { content: string } }[] }
    expect((await send(`Bearer ${marker}`)).status).toBe(401)
    expect(collector.spans()).toEqual([])
    expect(await server.stop()).toBe(0)

    expect(collector.spans().map(({ name, traceId }) => [name, traceId]).sort()).toEqual([
      ['POST /v1/chat/completions', '0af7651916cd43dd8448eb211c80319c'],
      ['POST /v1/chat/completions', '0af7651916cd43dd8448eb211c80319c'],
      ['decode', '0af7651916cd43dd8448eb211c80319c'],
      ['prefill', '0af7651916cd43dd8448eb211c80319c'],
      ['queue', '0af7651916cd43dd8448eb211c80319c']
    ])
    expect(await linesOf(files.audit)).toEqual([expect.objectContaining({ event: 'request.refused', address: '127.0.0.1', status: 401, traceId: '0af7651916cd43dd8448eb211c80319c' })])
    expect(await linesOf(files.prompts)).toEqual([expect.objectContaining({ request: body, answers: [choices[0]?.message.content] })])
    expect(server.output()).toContain('"traceId":"0af7651916cd43dd8448eb211c80319c"')
    expect(server.output()).toContain('"level":20')
    for (const text of [server.output(), collector.text(), await readFile(files.audit, 'utf8')]) expect(text).not.toContain(marker)
  })

  it('does not start when a file cannot be written', async () => {
    await expect(startServer(['--model', 'fake', '--audit-log', path.join(folder, 'nowhere/audit.jsonl')])).rejects.toThrow('(--audit-log) cannot be written: its folder does not exist')
  })
})

describe('/metrics', () => {
  it('does not wait for a forward pass', async () => {
    await using server = await startServer(['--model', 'fake', '--fake-step-ms', '60000'])
    const leaving = new AbortController()
    let isAnswered = false
    const answer = fetch(`${server.baseURL}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'fake', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 1 }),
      signal: leaving.signal
    }).then(() => { isAnswered = true }, () => {})
    // A scrape that waited for the pass would find the request gone.
    await waitUntil(async () => await metric(server.origin, 'drawbridge_requests') === 1, 'the request')
    for (let count = 0; count < 10; count++) expect(await metric(server.origin, 'drawbridge_requests')).toBe(1)
    expect(isAnswered).toBe(false)
    leaving.abort()
    await answer
  })
})
