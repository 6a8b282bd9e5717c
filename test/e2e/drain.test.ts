import { Agent, request } from 'node:http'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { describe, expect, it } from 'vitest'
import { isReady, metric, startServer, waitUntil } from '../support/server-process.ts'

const streams = 32
const body = JSON.stringify({ model: 'fake', messages: [{ role: 'user', content: 'Tell me a story.' }], max_tokens: 80, ignore_eos: true, stream: true })

describe('a server that is told to end', () => {
  it('finishes 32 streams, refuses what comes meanwhile, and exits with 0 before the deadline', async () => {
    await using server = await startServer(['--model', 'fake', '--slots', '16', '--fake-step-ms', '50', '--drain-timeout', '120s'])
    const ask = async (agent?: Agent): Promise<{ readonly response: IncomingMessage, readonly isReused: boolean }> => {
      const asked = request(`${server.baseURL}/chat/completions`, { method: 'POST', headers: { 'content-type': 'application/json' }, ...(agent === undefined ? {} : { agent }) })
      asked.end(body)
      const [response] = await once(asked, 'response') as [IncomingMessage]
      return { response, isReused: asked.reusedSocket }
    }
    const keptAlive = new Agent({ keepAlive: true, maxSockets: 1 })
    const models = request(`${server.baseURL}/models`, { agent: keptAlive })
    models.end()
    const [before] = await once(models, 'response') as [IncomingMessage]
    expect(before.statusCode).toBe(200)
    await text(before)

    // Half of them run; the others wait for slots, and are finished all the same.
    let begun = 0
    const texts = Array.from({ length: streams }, async () => {
      const { response } = await ask()
      response.once('data', () => { begun++ })
      return await text(response)
    })
    await waitUntil(async () => begun >= 16 && await metric(server.origin, 'drawbridge_requests') === streams, 'sixteen streams, and all requests')
    const stopped = server.stop('SIGTERM')
    await waitUntil(async () => !await isReady(server.origin), 'readiness to end')

    for (const [agent, isReused] of [[keptAlive, true], [new Agent(), false]] as const) {
      const refused = await ask(agent)
      expect(refused.response.statusCode).toBe(503)
      expect(refused.isReused).toBe(isReused)
      expect(refused.response.headers).toMatchObject({ 'retry-after': '1', connection: 'close' })
      expect(JSON.parse(await text(refused.response))).toMatchObject({ error: { code: 'server_draining' } })
    }
    expect((await fetch(`${server.origin}/health`)).status).toBe(200)

    for (const events of await Promise.all(texts)) {
      expect(events).toContain('"finish_reason":"length"')
      expect(events.trimEnd().endsWith('data: [DONE]')).toBe(true)
      expect(events).not.toContain('"error"')
    }
    expect(await stopped).toBe(0)
    expect(server.output()).not.toContain('ending running requests')
    expect(server.output()).toContain('"msg":"stopped"')
    keptAlive.destroy()
  })
})
