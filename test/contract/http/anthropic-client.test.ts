import Anthropic from '@anthropic-ai/sdk'
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema'
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod'
import { describe, expect, it, vi } from 'vitest'
import { z } from 'zod'
import { ServerError } from '../../../src/domain/errors.ts'
import { describeAnthropicContract } from '../../support/anthropic-client-suite.ts'
import { startFakeServer } from '../../support/contract-servers.ts'
import { patience } from '../../support/patience.ts'
import { answerEvents } from '../../support/scripted-inference.ts'
import { startScriptedServer } from '../../support/scripted-server.ts'

describeAnthropicContract('the fake engine', startFakeServer)

describe('a message that fails, through the anthropic client', () => {
  const begin = (origin: string, text: string, model = 'fake') => new Anthropic({ baseURL: origin, apiKey: 'none', maxRetries: 0 })
    .messages.stream({ model, max_tokens: 500, messages: [{ role: 'user', content: text }] })

  it('has its true status before the first text', async () => {
    await using server = await startFakeServer({}, { faults: { markers: true } })
    await expect(begin(server.origin, 'please !fail').finalMessage()).rejects.toMatchObject({ status: 500, type: 'api_error' })
  })

  it('makes the client throw after it, rather than take the half for the whole', async () => {
    let fail = (): void => {}
    const failed = new Promise<void>((resolve) => { fail = resolve })
    const died = new ServerError('engine_crashed', 'The engine died')
    await using server = await startScriptedServer(() => [...answerEvents(['Hel']).slice(0, 3), { type: 'wait', until: failed }, { type: 'throw', error: died }])
    let text = ''
    const stream = begin(server.origin, 'Hi', 'scripted').on('text', (delta) => {
      text += delta
      fail()
    })
    await expect(stream.finalMessage()).rejects.toMatchObject({ type: 'api_error', apiMessage: 'The engine died' })
    expect(text).toBe('Hel')
  })

  it('tells a client that waits too long that the server is overloaded', async () => {
    await using server = await startFakeServer({ slots: 1, queueTimeoutMs: 30 })
    const leaving = new AbortController()
    const chat = await fetch(`${server.origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'fake', messages: [{ role: 'user', content: 'Hello' }], stream: true, ignore_eos: true }),
      signal: leaving.signal
    })
    await chat.body?.getReader().read()
    const error: unknown = await begin(server.origin, 'Hello').finalMessage().catch((thrown: unknown) => thrown)
    leaving.abort()
    expect(error).toBeInstanceOf(Anthropic.OverloadedError)
    expect(error).toMatchObject({ status: 529, type: 'overloaded_error' })
  })
})

const pieces = (text: string): string[] => text.match(/[^]{1,4}/g) ?? []
const call = (name: string, input: object): string => `<tool_call>\n${JSON.stringify({ name, arguments: input })}\n</tool_call>`

describe('a conversation with tools, through the anthropic client', () => {
  const script = (prompt: string) => answerEvents(pieces(prompt.includes('<|tool|>')
    ? '<think>\nSunny, then.\n</think>\n\nIt is sunny in Rome, and nobody knows what time it is.'
    : `I look.\n${call('get_weather', { city: 'Rome' })}\n${call('get_time', { city: 'Rome' })}`))
  const ask = { model: 'scripted', max_tokens: 500, messages: [{ role: 'user' as const, content: 'What is the weather in Rome, and the time?' }] }
  const inputSchema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false } satisfies Anthropic.Tool.InputSchema

  it('has the same blocks as a stream and in one piece', async () => {
    await using server = await startScriptedServer(script)
    const client = new Anthropic({ baseURL: server.origin, apiKey: 'none' })
    const tools: Anthropic.Tool[] = ['get_weather', 'get_time'].map((name) => ({ name, input_schema: inputSchema }))
    const whole = await client.messages.create({ ...ask, tools })
    expect(whole).toMatchObject({ stop_reason: 'tool_use', content: [{ type: 'text', text: 'I look.' }, { name: 'get_weather', input: { city: 'Rome' } }, { name: 'get_time', input: { city: 'Rome' } }] })
    const inputs: unknown[] = []
    const streamed = await client.messages.stream({ ...ask, tools }).on('inputJson', (_json, snapshot) => { inputs.push(snapshot) }).finalMessage()
    const withoutIds = ({ content }: Anthropic.Message) => content.map((block) => ({ ...block, id: '' }))
    expect(withoutIds(streamed)).toEqual(withoutIds(whole))
    expect(inputs.length).toBeGreaterThan(4)

    const second = await client.messages.create({
      ...ask,
      tools,
      messages: [
        ...ask.messages,
        { role: 'assistant', content: whole.content },
        { role: 'user', content: whole.content.flatMap((block) => block.type === 'tool_use' ? [{ type: 'tool_result' as const, tool_use_id: block.id, content: 'sunny' }] : []) }
      ]
    })
    expect(second.content.map((block) => block.type === 'thinking' ? block.thinking : block.type === 'text' ? block.text : null))
      .toEqual(['Sunny, then.', 'It is sunny in Rome, and nobody knows what time it is.'])
    // Thinking goes back as it came.
    const third = [...ask.messages, { role: 'assistant' as const, content: second.content }, { role: 'user' as const, content: 'Thanks!' }]
    expect(await client.messages.create({ ...ask, messages: third })).toMatchObject({ type: 'message' })
  })

  const runnableSchema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } as const

  it.each([false, true])('is run by the client\'s own loop (as a stream: %s)', async (isStream) => {
    await using server = await startScriptedServer(script)
    const client = new Anthropic({ baseURL: server.origin, apiKey: 'none' })
    const asked: unknown[] = []
    const runner = client.beta.messages.toolRunner({
      ...ask,
      stream: isStream,
      tools: [
        betaTool({ name: 'get_weather', description: 'The weather', inputSchema: runnableSchema, run: (input) => { asked.push(input); return 'sunny' } }),
        betaTool({ name: 'get_time', description: 'The time', inputSchema: runnableSchema, run: () => { throw new Error('no clock') } })
      ]
    })
    const final = await runner.runUntilDone()
    expect(asked).toEqual([{ city: 'Rome' }])
    expect(final).toMatchObject({ stop_reason: 'end_turn', content: [{ type: 'thinking' }, { type: 'text', text: expect.stringContaining('sunny in Rome') }] })
    expect(server.prompts.at(-1)).toMatch(/<\|tool\|>sunny.*<\|tool\|>Error: .*no clock/)
  })
})

describe('an answer that is parsed, through the anthropic client', () => {
  it('has its output', async () => {
    await using server = await startScriptedServer(() => answerEvents(pieces('{"city": "Rome", "degrees": 21}')))
    const client = new Anthropic({ baseURL: server.origin, apiKey: 'none' })
    const format = zodOutputFormat(z.object({ city: z.string(), degrees: z.number() }))
    const message = await client.messages.parse({ model: 'scripted', max_tokens: 100, messages: [{ role: 'user', content: 'Rome?' }], output_config: { format } })
    expect(message.parsed_output).toEqual({ city: 'Rome', degrees: 21 })
    expect(server.inference.requests[0]?.sampling.grammar).toContain('degrees')
  })
})

describe('a client that leaves', () => {
  it.each([false, true])('ends its request (stream: %s)', async (isStream) => {
    await using server = await startScriptedServer(() => [...answerEvents(['Hel']).slice(0, 3), { type: 'wait', until: new Promise(() => {}) }])
    const client = new Anthropic({ baseURL: server.origin, apiKey: 'none', maxRetries: 0 })
    const leaving = new AbortController()
    const ask = { model: 'scripted', max_tokens: 100, messages: [{ role: 'user' as const, content: 'Hi' }] }
    const aborted = server.inference.nextAbort()
    const answer = isStream
      ? client.messages.stream(ask, { signal: leaving.signal }).on('text', () => leaving.abort()).finalMessage()
      : client.messages.create(ask, { signal: leaving.signal })
    const left = answer.then(() => null, (error: unknown) => error)
    if (!isStream) {
      await vi.waitFor(() => expect(server.inference.requests).toHaveLength(1), patience)
      leaving.abort()
    }
    expect(await left).toBeInstanceOf(Anthropic.APIUserAbortError)
    await aborted
    expect(server.inference.aborted).toHaveLength(1)
  })
})
