import { type AIMessageChunk, HumanMessage, ToolMessage } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { ChatOpenAI } from '@langchain/openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type ContractServer, startDemoServer } from '../support/contract-servers.ts'

describe('the demo model, through @langchain/openai', () => {
  let server: ContractServer
  let chat: ChatOpenAI
  beforeAll(async () => {
    server = await startDemoServer({})
    chat = new ChatOpenAI({ model: server.model, apiKey: 'none', temperature: 0, maxRetries: 0, configuration: { baseURL: `${server.origin}/v1` } })
  })
  afterAll(async () => await server[Symbol.asyncDispose]())

  const weather = tool(() => '{"temperature": 21, "condition": "sunny"}', { name: 'get_weather', description: 'Get the weather in a city', schema: z.object({ city: z.string() }) })

  it.each([false, true])('makes the round with tools: call, result, answer (as a stream: %s)', async (isStream) => {
    const bound = chat.bindTools([weather])
    const ask = async (messages: Parameters<typeof bound.invoke>[0]): Promise<AIMessageChunk> => {
      if (!isStream) return await bound.invoke(messages)
      let whole: AIMessageChunk | undefined
      for await (const chunk of await bound.stream(messages)) whole = whole === undefined ? chunk : whole.concat(chunk)
      return whole!
    }
    const question = new HumanMessage('What is the weather in Paris?')
    const first = await ask([question])
    expect(first.tool_calls).toMatchObject([{ name: 'get_weather', args: { city: 'Paris' } }])
    const result: unknown = await weather.invoke(first.tool_calls![0]!)
    if (!(result instanceof ToolMessage)) throw new Error('A call is answered by a message of the tool')
    expect((await ask([question, first, result])).text).toMatch(/^It is 21 degrees .*sunny in Paris\.$/)
  })

  it('writes structured output that fits its schema', async () => {
    const schema = z.object({ city: z.enum(['Paris', 'Rome']), degrees: z.number().min(0).max(40) })
    for (const method of ['jsonSchema', 'functionCalling'] as const) {
      expect(schema.safeParse(await chat.withStructuredOutput(schema, { method, name: 'get_weather' }).invoke('What is the weather in Paris?')).success).toBe(true)
    }
  })
})
