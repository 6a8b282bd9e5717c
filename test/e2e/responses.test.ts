import { HumanMessage, ToolMessage } from '@langchain/core/messages'
import { ChatOpenAI } from '@langchain/openai'
import { OpenAI } from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { startServer } from '../support/server-process.ts'

type Response = OpenAI.Responses.Response
type Input = OpenAI.Responses.ResponseInputItem

const weather: OpenAI.Responses.FunctionTool = {
  type: 'function',
  name: 'get_weather',
  description: 'Get the weather in a city',
  parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false },
  strict: true
}
const question: Input = { role: 'user', content: 'What is the weather in Paris?' }
const sunny = '{"temperature": 21, "condition": "sunny"}'
const weatherInParis = /^It is 21 degrees .*sunny in Paris\.$/

describe('the demo model through the Responses API', () => {
  let server: Awaited<ReturnType<typeof startServer>>
  let client: OpenAI
  beforeAll(async () => {
    server = await startServer(['--model', 'demo'])
    client = new OpenAI({ baseURL: server.baseURL, apiKey: 'none', maxRetries: 0 })
  })
  afterAll(async () => { await server[Symbol.asyncDispose]() })

  const body = { model: 'drawbridge-demo', tools: [weather], temperature: 0 }
  const callOf = ({ output }: Response): OpenAI.Responses.ResponseFunctionToolCall => {
    const calls = output.filter((item) => item.type === 'function_call')
    expect(calls).toHaveLength(1)
    expect(JSON.parse(calls[0]!.arguments)).toEqual({ city: 'Paris' })
    return calls[0]!
  }
  const resultFor = (call: OpenAI.Responses.ResponseFunctionToolCall): Input => ({ type: 'function_call_output', call_id: call.call_id, output: sunny })

  it('makes the round of a tool: call, result, answer', async () => {
    const first = await client.responses.create({ ...body, input: [question] })
    expect(first).toMatchObject({ status: 'completed', output_text: '' })
    const result = resultFor(callOf(first))
    const second = await client.responses.create({ ...body, previous_response_id: first.id, input: [result] })
    expect(second.output_text).toMatch(weatherInParis)
    // Sent back by the client, the same items are the same prompt.
    const stateless = await client.responses.create({ ...body, store: false, input: [question, ...first.output as Input[], result] })
    expect(stateless.output_text).toBe(second.output_text)
    expect(stateless.usage?.input_tokens).toBe(second.usage?.input_tokens)
  })

  it('makes the round as a stream, and in a conversation', async () => {
    const { id: conversation } = await client.conversations.create()
    const first = await client.responses.stream({ ...body, conversation, input: [question] }).finalResponse()
    const second = await client.responses.stream({ ...body, conversation, input: [resultFor(callOf(first))] }).finalResponse()
    expect(second.output_text).toMatch(weatherInParis)
    const items = await client.conversations.items.list(conversation, { order: 'asc' })
    expect(items.data.map(({ type }) => type)).toEqual(['message', 'function_call', 'function_call_output', 'message'])
  })

  it('calls what it must', async () => {
    const required = await client.responses.create({ ...body, input: 'Hello!', tool_choice: 'required', max_output_tokens: 200 })
    expect(required.output.every(({ type }) => type === 'function_call')).toBe(true)
    const named = await client.responses.create({ ...body, input: 'Hello!', tool_choice: { type: 'function', name: 'get_weather' }, parallel_tool_calls: false })
    expect(named.output).toMatchObject([{ type: 'function_call', name: 'get_weather' }])
    const none = await client.responses.create({ ...body, input: [question], tool_choice: 'none' })
    expect(none.output).toMatchObject([{ type: 'message' }])
  })

  it('reasons in an item of its own', async () => {
    const asked = { model: 'drawbridge-demo', temperature: 0, instructions: '/think', input: 'What is the capital of France?' } as const
    const whole = await client.responses.create(asked)
    expect(whole.output).toMatchObject([{ type: 'reasoning', content: [{ type: 'reasoning_text', text: expect.stringMatching(/\w/) }] }, { type: 'message' }])
    expect(whole.output_text).toBe('The capital of France is Paris.')
    expect(whole.usage?.output_tokens_details.reasoning_tokens).toBeGreaterThan(3)
    const events: OpenAI.Responses.ResponseStreamEvent[] = []
    for await (const event of await client.responses.create({ ...asked, stream: true, reasoning: { summary: 'auto' } })) events.push(event)
    const summary = events.map((event) => event.type === 'response.reasoning_summary_text.delta' ? event.delta : '').join('')
    expect(whole.output[0]).toMatchObject({ content: [{ text: summary }] })
  })

  it('answers as JSON that fits, and says when a limit ended it', async () => {
    const schema = { type: 'object', properties: { city: { enum: ['Oslo', 'Bonn'] } }, required: ['city'], additionalProperties: false }
    const fits = await client.responses.create({ model: 'drawbridge-demo', input: 'A city?', text: { format: { type: 'json_schema', name: 'city', schema, strict: true } } })
    expect(['Oslo', 'Bonn']).toContain((JSON.parse(fits.output_text) as { city: string }).city)
    const cut = await client.responses.create({ model: 'drawbridge-demo', input: [question], max_output_tokens: 2 })
    expect(cut).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, usage: { output_tokens: 2 } })
  })

  // With `zdrEnabled` the client has nothing stored and sends back what it has kept itself.
  it.each([false, true])('makes the round through LangChain (nothing stored: %s)', async (zdrEnabled) => {
    const options = { model: 'drawbridge-demo', apiKey: 'none', temperature: 0, useResponsesApi: true, zdrEnabled, maxRetries: 0, configuration: { baseURL: server.baseURL } }
    const model = new ChatOpenAI(options).bindTools([{ name: 'get_weather', description: 'Get the weather in a city', schema: z.object({ city: z.string() }) }])
    const asked = new HumanMessage('What is the weather in Paris?')
    const whole = await model.invoke([asked])
    expect(whole.tool_calls).toMatchObject([{ name: 'get_weather', args: { city: 'Paris' } }])
    let streamed: typeof whole | undefined
    for await (const chunk of await model.stream([asked])) streamed = streamed === undefined ? chunk : streamed.concat(chunk)
    expect(streamed?.tool_calls).toMatchObject([{ name: 'get_weather', args: { city: 'Paris' } }])
    for (const answer of [whole, streamed!]) {
      const result = new ToolMessage({ tool_call_id: answer.tool_calls![0]!.id!, content: sunny })
      expect((await model.invoke([asked, answer, result])).text).toMatch(weatherInParis)
    }
    const structured = new ChatOpenAI(options).withStructuredOutput(z.object({ city: z.enum(['Oslo', 'Bonn']) }), { name: 'city' })
    expect(['Oslo', 'Bonn']).toContain((await structured.invoke('A city?')).city)
  })

  it('answers in the background, and stops when it is told to', async () => {
    let polled = await client.responses.create({ ...body, input: [question], background: true })
    while (polled.status === 'queued' || polled.status === 'in_progress') polled = await client.responses.retrieve(polled.id)
    callOf(polled)
    const long = await client.responses.create({ model: 'drawbridge-demo', input: 'Count.', background: true, ...{ ignore_eos: true, stop: ['never said'] } })
    expect(await client.responses.cancel(long.id)).toMatchObject({ status: 'cancelled' })
    const ready = await fetch(`${server.origin}/ready`)
    expect(ready.status).toBe(200)
  })
})
