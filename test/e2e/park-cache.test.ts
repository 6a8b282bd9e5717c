import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { metric, type ServerProcess, startServer, waitUntil } from '../support/server-process.ts'

const story = Array.from({ length: 30 }, (_, index) => `Sentence ${index} is about the river.`).join(' ')

describe('conversations that take turns in one slot', () => {
  let folder: string
  let server: ServerProcess

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'drawbridge-e2e-'))
    server = await startServer(['--slots', '1', '--context-size', '1024', '--threads', '1', '--park-cache', '100MB', '--park-dir', folder])
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    await rm(folder, { recursive: true, force: true })
  })

  const ask = async (name: string): Promise<{ text: string, cachedTokens: number }> => {
    const response = await fetch(`${server.baseURL}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        model: 'demo', temperature: 0, max_tokens: 12, messages: [{ role: 'system', content: `${name}. ${story}` }, { role: 'user', content: 'Hello!' }]
      })
    })
    const body = await response.json() as {
      choices: [{ message: { content: string } }], usage: { prompt_tokens_details: { cached_tokens: number } }
    }
    return { text: body.choices[0].message.content, cachedTokens: body.usage.prompt_tokens_details.cached_tokens }
  }

  it('go on from their saved caches, with the same answers, and leave no file behind', async () => {
    const names = ['Anna', 'Ben', 'Cleo']
    const first = []
    for (const name of names) first.push(await ask(name))
    const again = []
    for (const name of names) again.push(await ask(name))
    expect(again.map(({ text }) => text)).toEqual(first.map(({ text }) => text))
    for (const [index, { cachedTokens }] of again.entries()) {
      expect(first[index]!.cachedTokens).toBeLessThan(100)
      expect(cachedTokens).toBeGreaterThan(200)
    }
    await waitUntil(async () => await metric(server.origin, 'drawbridge_caches_restored_total') >= 3, 'three restored caches')
    expect(await metric(server.origin, 'drawbridge_parked_cache_bytes')).toBeGreaterThan(100_000)
    expect(await readdir(folder)).toHaveLength(1)
    expect(await server.stop()).toBe(0)
    expect(await readdir(folder)).toEqual([])
  })
})
