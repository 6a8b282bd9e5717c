import Anthropic from '@anthropic-ai/sdk'
import { betaTool } from '@anthropic-ai/sdk/helpers/beta/json-schema'
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { describeAnthropicContract, messageTextOf } from '../support/anthropic-client-suite.ts'
import { type ContractServer, startDemoServer } from '../support/contract-servers.ts'

describeAnthropicContract('the demo model', startDemoServer)

const inputSchema = { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] } as const
const describeTool = (name: string, description: string): Anthropic.Tool => ({ name, description, input_schema: { ...inputSchema, required: ['city'] } })
const tools = [describeTool('get_weather', 'Get the weather in a city'), describeTool('get_time', 'Get the time in a city')]
const sunny = '{"temperature": 21, "condition": "sunny"}'
const weatherInParis = /^It is 21 degrees .*sunny in Paris\.$/
const question: Anthropic.MessageParam = { role: 'user', content: 'What is the weather in Paris?' }

describe('the demo model with tools, through the anthropic client', () => {
  let server: ContractServer
  let client: Anthropic
  beforeAll(async () => {
    server = await startDemoServer({})
    client = new Anthropic({ baseURL: server.origin, apiKey: 'none', maxRetries: 0 })
  })
  afterAll(async () => await server[Symbol.asyncDispose]())

  const bodyOf = (messages: readonly Anthropic.MessageParam[], changes: Partial<Anthropic.MessageCreateParamsNonStreaming> = {}) =>
    ({ model: 'drawbridge-demo', max_tokens: 200, messages: [...messages], tools, ...{ temperature: 0 }, ...changes })

  it.each([false, true])('makes the round: call, result, answer (as a stream: %s)', async (isStream) => {
    const ask = async (messages: readonly Anthropic.MessageParam[]): Promise<Anthropic.Message> => isStream
      ? await client.messages.stream(bodyOf(messages)).finalMessage()
      : await client.messages.create(bodyOf(messages))
    const first = await ask([question])
    expect(first).toMatchObject({ stop_reason: 'tool_use', content: [{ type: 'tool_use', name: 'get_weather', input: { city: 'Paris' } }] })
    const [call] = first.content
    if (call?.type !== 'tool_use') throw new Error('There is no call')
    const result: Anthropic.MessageParam = { role: 'user', content: [{ type: 'tool_result', tool_use_id: call.id, content: sunny }] }
    const second = await ask([question, { role: 'assistant', content: first.content }, result])
    expect(second.stop_reason).toBe('end_turn')
    expect(messageTextOf(second)).toMatch(weatherInParis)
  })

  it.each([false, true])('runs the client\'s own loop over tools (as a stream: %s)', async (isStream) => {
    const asked: unknown[] = []
    const final = await client.beta.messages.toolRunner({
      ...bodyOf([question]),
      stream: isStream,
      tools: [betaTool({ name: 'get_weather', description: 'Get the weather in a city', inputSchema, run: (input) => { asked.push(input); return sunny } })]
    }).runUntilDone()
    expect(asked).toEqual([{ city: 'Paris' }])
    expect(final.content).toMatchObject([{ type: 'text', text: expect.stringMatching(weatherInParis) }])
  })

  it('calls what it must, and leaves alone what it must not', async () => {
    const named = await client.messages.create(bodyOf([question], { tool_choice: { type: 'tool', name: 'get_time', disable_parallel_tool_use: true } }))
    expect(named.content).toMatchObject([{ type: 'tool_use', name: 'get_time', input: { city: expect.any(String) } }])
    const none = await client.messages.create(bodyOf([question], { tool_choice: { type: 'none' } }))
    expect(none.content.some(({ type }) => type === 'tool_use')).toBe(false)
  })

  it('counts the tokens of tools', async () => {
    const { model, messages } = bodyOf([question])
    const { usage } = await client.messages.create(bodyOf([question]))
    expect((await client.messages.countTokens({ model, messages, tools })).input_tokens).toBe(usage.input_tokens + (usage.cache_read_input_tokens ?? 0))
  })

  it('thinks apart from its answer', async () => {
    const body = { model: 'drawbridge-demo', max_tokens: 200, system: '/think', messages: [{ role: 'user' as const, content: 'What is the capital of France?' }], ...{ temperature: 0 } }
    const whole = await client.messages.create(body)
    expect(whole.content).toMatchObject([{ type: 'thinking', thinking: expect.stringMatching(/\w/), signature: expect.any(String) }, { type: 'text', text: 'The capital of France is Paris.' }])
    expect(whole.usage.output_tokens_details?.thinking_tokens).toBeGreaterThan(3)
    expect((await client.messages.stream(body).finalMessage()).content).toEqual(whole.content)
  })

  it('goes on with an answer where it was left', async () => {
    const ask = async (...messages: Anthropic.MessageParam[]) => messageTextOf(await client.messages.create(bodyOf(messages, { tools: [] })))
    const capital: Anthropic.MessageParam = { role: 'user', content: 'What is the capital of France?' }
    const whole = await ask(capital)
    const begun = whole.slice(0, whole.indexOf(' ', 5))
    expect(begun + await ask(capital, { role: 'assistant', content: begun })).toBe(whole)
  })

  it('answers in a format that it is parsed in', async () => {
    const format = zodOutputFormat(z.object({ city: z.enum(['Paris', 'Rome']), degrees: z.int().min(0).max(40) }))
    const message = await client.messages.parse(bodyOf([question], { tools: [], output_config: { format } }))
    expect(['Paris', 'Rome']).toContain((message.parsed_output as { city: string } | null)?.city)
  })
})
