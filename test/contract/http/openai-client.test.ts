import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { createFakeEngine, type FakeEngineOptions } from '../../../src/engine/fake/fake-engine.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import { type ContractServer, type ContractServerOptions, describeOpenAiContract } from '../../support/openai-client-suite.ts'
import { buildTestApp, listen } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

/** The whole path over the fake engine in this process: a listening server, its scheduler, no weights. */
async function startFakeServer (options: ContractServerOptions, engineOptions: FakeEngineOptions = {}): Promise<ContractServer> {
  const engine = createFakeEngine({ stepMs: 1, slotsPerLane: options.slots ?? 4, contextSize: 2048, ...engineOptions })
  const inference = new LocalInference(engine, { maxQueue: options.maxQueue ?? 256 })
  const host = createTestHost(inference, { id: 'fake' })
  const { app } = await buildTestApp([host], {
    config: {
      apiKeys: options.apiKey === undefined ? [] : [options.apiKey],
      ...(options.bodyLimitBytes === undefined ? {} : { bodyLimit: options.bodyLimitBytes }),
      ...(options.queueTimeoutMs === undefined ? {} : { queueTimeoutMs: options.queueTimeoutMs })
    }
  })
  const { origin } = await listen(app)
  return {
    origin,
    model: 'fake',
    [Symbol.asyncDispose]: async () => {
      app.server.closeAllConnections()
      await app.close()
      await inference.destroy(new Error('The test is over'))
      expect(engine.violations).toEqual([])
    }
  }
}

describeOpenAiContract('the fake engine', startFakeServer)

describe('a stream that fails, through the openai client', () => {
  const stream = async (server: ContractServer, text: string) => {
    const client = new OpenAI({ baseURL: `${server.origin}/v1`, apiKey: 'none', maxRetries: 0 })
    return await client.chat.completions.create({ model: 'fake', messages: [{ role: 'user', content: text }], stream: true, ...{ ignore_eos: true } })
  }

  it('has its true status before the first text', async () => {
    await using server = await startFakeServer({}, { faults: { markers: true } })
    await expect(stream(server, 'please !fail')).rejects.toMatchObject({ status: 500, code: 'engine_error' })
  })

  it('makes the client throw after it, rather than take the half for the whole', async () => {
    await using server = await startFakeServer({}, { faults: { markers: true } })
    const chunks = await stream(server, 'please !fail-later')
    const texts: string[] = []
    const reading = (async () => { for await (const chunk of chunks) texts.push(chunk.choices[0]?.delta.content ?? '') })()
    await expect(reading).rejects.toMatchObject({ code: 'engine_error', type: 'server_error' })
    expect(texts.join('')).not.toBe('')
  })
})
