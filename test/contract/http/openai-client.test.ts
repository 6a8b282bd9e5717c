import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { type ContractServer, startFakeServer } from '../../support/contract-servers.ts'
import { describeOpenAiContract } from '../../support/openai-client-suite.ts'

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
