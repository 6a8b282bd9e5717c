import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { expressions, labelsIn, ownSeries, seriesIn } from '../support/monitoring-files.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'

describe('dashboards and alert rules, on a server that runs', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-monitoring-'))
  let server: ServerProcess
  /** Labels by series. */
  const live = new Map<string, Set<string>>()

  beforeAll(async () => {
    const adapter = path.join(directory, 'a.gguf')
    writeFileSync(adapter, 'x')
    server = await startServer(['--model', 'fake', '--adapter', `pirate=${adapter}`])
    for (const model of ['fake', 'pirate', 'nobody']) {
      await fetch(`${server.baseURL}/completions`, {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ model, prompt: 'Hello there', max_tokens: 5 })
      })
    }
    const text = await (await fetch(`${server.origin}/metrics`)).text()
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
