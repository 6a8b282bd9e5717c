import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { childrenOf, isReady, type ServerProcess, startServer, waitUntil } from '../support/server-process.ts'

it('a process that replaces another computes as that did, and measures nothing', async () => {
  // Nothing can be remembered where the folder would be below a file.
  await using server = await startServer(['--slots', '2', '--context-size', '512', '--calibrate', 'auto', '--log-level', 'info'], { XDG_CACHE_HOME: '/dev/null' })
  const infoOf = async (): Promise<string | undefined> =>
    (await (await fetch(`${server.origin}/metrics`)).text()).split('\n').find((line) => line.startsWith('drawbridge_engine_info{'))
  const before = await infoOf()
  expect(before).toContain('build="node-llama-cpp')
  const [engine] = await childrenOf(server.pid)
  if (engine === undefined) throw new Error('The server has no engine process')
  process.kill(engine, 'SIGKILL')
  await waitUntil(async () => !await isReady(server.origin), '/ready saying no')
  await waitUntil(async () => await isReady(server.origin), '/ready saying yes again')
  expect(await infoOf()).toBe(before)
  expect(server.output().match(/"msg":"(not )?calibrated/g)).toHaveLength(1)
})

describe('the engine process is killed under a running server', () => {
  let server: ServerProcess
  let client: OpenAI
  let model: string

  beforeAll(async () => {
    server = await startServer(['--slots', '8', '--context-size', '2048', '--threads', '1'])
    client = new OpenAI({ baseURL: server.baseURL, apiKey: 'none', maxRetries: 0 })
    model = (await client.models.list()).data[0]?.id ?? ''
  })
  afterAll(async () => { await server?.[Symbol.asyncDispose]() })

  it('keeps the server, tells the streams, says it is not ready, and recovers', async () => {
    const [engine] = await childrenOf(server.pid)
    if (engine === undefined) throw new Error('The server has no engine process')

    let streaming = 0
    const streams = Promise.allSettled(Array.from({ length: 8 }, async () => {
      const chunks = await client.chat.completions.create({
        model,
        messages: [{ role: 'user', content: 'Count from 1 to 200.' }],
        stream: true,
        temperature: 0,
        max_tokens: 1800,
        ...{ ignore_eos: true }
      })
      let text = ''
      for await (const chunk of chunks) {
        if (text === '' && (chunk.choices[0]?.delta.content ?? '') !== '') streaming++
        text += chunk.choices[0]?.delta.content ?? ''
      }
      return text
    }))
    await waitUntil(() => streaming === 8, 'text in all eight streams')
    process.kill(engine, 'SIGKILL')

    await waitUntil(async () => !await isReady(server.origin), '/ready saying no')
    const ended = await streams
    for (const stream of ended) {
      expect(stream).toMatchObject({ status: 'rejected', reason: { code: 'engine_crashed' } })
    }
    await waitUntil(async () => await isReady(server.origin), '/ready saying yes again')
    expect(server.child.exitCode).toBeNull()
    expect((await fetch(`${server.origin}/health`)).status).toBe(200)
    const [successor] = await childrenOf(server.pid)
    expect(successor).not.toBe(engine)

    const answer = await client.chat.completions.create({
      model, messages: [{ role: 'user', content: 'Hello!' }], temperature: 0, max_tokens: 32
    })
    expect(answer.choices[0]?.message.content).toMatch(/\w/)
  })

  it('drains and exits 0 at SIGTERM: a running answer is finished, a new request is refused', async () => {
    const chunks = await client.chat.completions.create({
      model,
      messages: [{ role: 'user', content: 'Count from 1 to 200.' }],
      stream: true,
      temperature: 0,
      max_tokens: 1800,
      ...{ ignore_eos: true }
    })
    let finishReason: string | null = null
    let tokens = 0
    let refusal: unknown
    for await (const chunk of chunks) {
      finishReason = chunk.choices[0]?.finish_reason ?? finishReason
      if (tokens++ > 0) continue
      server.child.kill('SIGTERM')
      await waitUntil(async () => !await isReady(server.origin), '/ready saying no')
      refusal = await client.chat.completions.create({ model, messages: [{ role: 'user', content: 'Hello!' }] })
        .catch((error: unknown) => error)
    }
    expect(finishReason).toBe('length')
    expect(refusal).toMatchObject({ status: 503, code: 'server_draining' })
    expect(await server.stop()).toBe(0)
  })
})
