import { OpenAI } from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startServer } from '../support/server-process.ts'

type Message = OpenAI.Chat.ChatCompletionMessageParam
type Completion = OpenAI.Chat.ChatCompletion

const describeTool = (name: string, description: string): OpenAI.Chat.ChatCompletionFunctionTool => ({
  type: 'function',
  function: {
    name,
    description,
    // As SDKs write them.
    parameters: {
      $schema: 'http://json-schema.org/draft-07/schema#',
      type: 'object',
      properties: { city: { type: 'string' } },
      required: ['city'],
      additionalProperties: false
    }
  }
})
const weather = describeTool('get_weather', 'Get the weather in a city')
const time = describeTool('get_time', 'Get the time in a city')
const tools = [weather, time]
const sunny = '{"temperature": 21, "condition": "sunny"}'
const weatherInParis = /^It is 21 degrees .*sunny in Paris\.$/

describe('the demo model with tools, through the openai client', () => {
  let server: Awaited<ReturnType<typeof startServer>>
  let client: OpenAI
  beforeAll(async () => {
    server = await startServer(['--model', 'demo'])
    client = new OpenAI({ baseURL: `${server.origin}/v1`, apiKey: 'none', maxRetries: 0 })
  })
  afterAll(async () => { await server[Symbol.asyncDispose]() })

  const ask = async (messages: readonly Message[], options: Partial<OpenAI.Chat.ChatCompletionCreateParamsNonStreaming> = {}): Promise<Completion> =>
    await client.chat.completions.create({ model: 'drawbridge-demo', messages: [...messages], tools, temperature: 0, ...options })
  const user = (content: string): Message => ({ role: 'user', content })
  const callsOf = ({ choices: [choice] }: Completion) => (choice?.message.tool_calls ?? []).map((call) => {
    if (call.type !== 'function') throw new Error('Only functions are called')
    return { id: call.id, name: call.function.name, arguments: JSON.parse(call.function.arguments) as unknown }
  })

  it('makes the round: call, result, answer', async () => {
    const question = user('What is the weather in Paris?')
    const first = await ask([question])
    expect(first.choices[0]).toMatchObject({ finish_reason: 'tool_calls', message: { role: 'assistant', content: null } })
    const [call] = callsOf(first)
    expect(call).toMatchObject({ name: 'get_weather', arguments: { city: 'Paris' } })
    const second = await ask([question, first.choices[0]!.message, { role: 'tool', tool_call_id: call!.id, content: sunny }])
    expect(second.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: expect.stringMatching(weatherInParis) } })
    expect(second.choices[0]?.message).not.toHaveProperty('tool_calls')
  })

  it('makes the round as a stream', async () => {
    const question = user('What is the weather in Paris?')
    const body = { model: 'drawbridge-demo', tools, temperature: 0 } as const
    const first = await client.chat.completions.stream({ ...body, messages: [question] }).finalChatCompletion()
    const whole = await ask([question])
    expect(callsOf(first)).toEqual([{ ...callsOf(whole)[0], id: expect.any(String) }])
    expect(first.choices[0]?.finish_reason).toBe('tool_calls')
    const { role, content, tool_calls: calls } = first.choices[0]!.message
    const messages: Message[] = [question, { role, content, tool_calls: calls! }, { role: 'tool', tool_call_id: calls![0]!.id, content: sunny }]
    const second = await client.chat.completions.stream({ ...body, messages }).finalChatCompletion()
    expect(second.choices[0]?.message.content).toMatch(weatherInParis)
    expect(second.choices[0]?.finish_reason).toBe('stop')
  })

  it.each([false, true])('runs the client\'s own loop over tools (as a stream: %s)', async (isStream) => {
    const asked: unknown[] = []
    const run = {
      type: 'function',
      function: {
        name: 'get_weather',
        description: 'Get the weather in a city',
        parameters: weather.function.parameters ?? {},
        parse: JSON.parse,
        function: (given: { city: string }) => {
          asked.push(given)
          return sunny
        }
      }
    } as const
    const body = { model: 'drawbridge-demo', temperature: 0, messages: [user('What is the weather in Paris?')], tools: [run] }
    const runner = isStream ? client.chat.completions.runTools({ ...body, stream: true }) : client.chat.completions.runTools(body)
    expect(await runner.finalContent()).toMatch(weatherInParis)
    expect(asked).toEqual([{ city: 'Paris' }])
  })

  it('calls twice at once, and once where it may not', async () => {
    const question = user('What is the weather in Paris and what is the weather in Rome?')
    const both = callsOf(await ask([question]))
    expect(both.map(({ name, arguments: given }) => [name, given])).toEqual([['get_weather', { city: 'Paris' }], ['get_weather', { city: 'Rome' }]])
    expect(both[0]?.id).not.toBe(both[1]?.id)
    expect(callsOf(await ask([question], { parallel_tool_calls: false }))).toHaveLength(1)
    const streamed = await client.chat.completions.stream({ model: 'drawbridge-demo', tools, temperature: 0, messages: [question] }).finalChatCompletion()
    expect(callsOf(streamed).map(({ arguments: given }) => given)).toEqual(both.map(({ arguments: given }) => given))
  })

  it('leaves tools alone that are not needed, and those that it must not call', async () => {
    expect((await ask([user('Hello!')])).choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: expect.stringContaining('Hello') } })
    const none = await ask([user('What is the weather in Paris?')], { tool_choice: 'none' })
    expect(callsOf(none)).toEqual([])
    expect(none.choices[0]?.message.content).toBeTruthy()
  })

  it('calls what it must, whatever it is asked', async () => {
    for (const seed of [1, 2, 3, 4, 5]) {
      const required = callsOf(await ask([user('Hello!')], { tool_choice: 'required', temperature: 1.5, seed, max_tokens: 200 }))
      expect(required.length).toBeGreaterThan(0)
      for (const call of required) {
        expect(['get_weather', 'get_time']).toContain(call.name)
        expect(call.arguments).toEqual({ city: expect.any(String) })
      }
      const named = callsOf(await ask([user('What is the weather in Paris?')], { tool_choice: { type: 'function', function: { name: 'get_time' } }, parallel_tool_calls: false, temperature: 1.5, seed }))
      expect(named).toEqual([{ id: expect.any(String), name: 'get_time', arguments: { city: expect.any(String) } }])
    }
  })

  it.each<[string, OpenAI.Chat.ChatCompletionToolChoiceOption, readonly string[]]>([
    ['auto', 'auto', ['get_weather']],
    ['none', 'none', []],
    ['required', 'required', ['get_weather']],
    ['a function', { type: 'function', function: { name: 'get_time' } }, ['get_time']],
    ['one of some, if any', { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [{ type: 'function', function: { name: 'get_weather' } }] } }, ['get_weather']],
    ['one of some', { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'get_time' } }] } }, ['get_time']]
  ])('does as it is told with "tool_choice" %s, in one piece and as a stream', async (_what, choice, names) => {
    const body = { model: 'drawbridge-demo', messages: [user('What is the weather in Paris?')], tools, temperature: 0, tool_choice: choice, parallel_tool_calls: false, max_tokens: 200 }
    const whole = await client.chat.completions.create(body)
    const streamed = await client.chat.completions.stream(body).finalChatCompletion()
    for (const completion of [whole, streamed]) {
      const calls = callsOf(completion)
      expect(calls.map(({ name }) => name)).toEqual(names)
      for (const call of calls) expect(call.arguments).toEqual({ city: expect.any(String) })
      expect(completion.choices[0]?.finish_reason).toBe(names.length === 0 ? 'stop' : 'tool_calls')
    }
    expect(callsOf(streamed).map(({ arguments: given }) => given)).toEqual(callsOf(whole).map(({ arguments: given }) => given))
  })

  it('keeps to a strict tool\'s schema where the call is its own choice', async () => {
    const strict: OpenAI.Chat.ChatCompletionFunctionTool = {
      type: 'function',
      function: {
        ...weather.function,
        strict: true,
        parameters: { type: 'object', properties: { city: { enum: ['Oslo', 'Bonn'] }, days: { type: 'integer', minimum: 2, maximum: 4 } }, required: ['city', 'days'], additionalProperties: false }
      }
    }
    const [call] = callsOf(await ask([user('What is the weather in Paris?')], { tools: [strict] }))
    expect(call).toMatchObject({ name: 'get_weather', arguments: { city: expect.stringMatching(/^(Oslo|Bonn)$/) } })
    expect([2, 3, 4]).toContain((call?.arguments as { days: number }).days)
  })

  it('gives what there is of a call that its length ends', async () => {
    const { choices: [choice] } = await ask([user('What is the weather in Paris?')], { max_tokens: 16 })
    expect(choice?.finish_reason).toBe('length')
    expect(choice?.message.tool_calls?.[0]).toMatchObject({ function: { name: 'get_weather', arguments: expect.stringMatching(/^\{/) } })
  })

  it('reasons no longer than its budget, and answers in a format behind it', async () => {
    const ask = async (more: object) => {
      const messages: Message[] = [{ role: 'system', content: '/think' }, user('What is the capital of France?')]
      const { choices: [choice], usage } = await client.chat.completions.create({ model: 'drawbridge-demo', temperature: 0, messages, ...more })
      const { content, reasoning_content: reasoning = '' } = choice!.message as OpenAI.Chat.ChatCompletionMessage & { reasoning_content?: string }
      return { content, reasoning, tokens: usage?.completion_tokens_details?.reasoning_tokens ?? 0 }
    }
    const free = await ask({})
    const limited = await ask({ reasoning_budget: 2 })
    expect(limited.tokens).toBeLessThan(free.tokens)
    expect(free.reasoning.startsWith(limited.reasoning)).toBe(true)
    expect(limited.content).not.toBe('')
    expect(await ask({ reasoning_budget: 0 })).toMatchObject({ reasoning: '', content: expect.stringMatching(/./) })
    const formatted = await ask({ reasoning_budget: 2, structured_outputs: { choice: ['Paris', 'Rome'] } })
    expect(formatted).toMatchObject({ reasoning: limited.reasoning, content: expect.stringMatching(/^(?:Paris|Rome)$/) })
  })

  it('reasons apart from its answer', async () => {
    const messages: Message[] = [{ role: 'system', content: '/think' }, user('What is the capital of France?')]
    const body = { model: 'drawbridge-demo', temperature: 0, messages } as const
    const whole = await client.chat.completions.create(body)
    const { content, ...others } = whole.choices[0]!.message as OpenAI.Chat.ChatCompletionMessage & { reasoning_content?: string, reasoning?: string }
    expect(content).toBe('The capital of France is Paris.')
    expect(others.reasoning_content).toMatch(/\w/)
    expect(others.reasoning).toBe(others.reasoning_content)
    expect(whole.usage?.completion_tokens_details?.reasoning_tokens).toBeGreaterThan(3)
    let [text, reasoning] = ['', '']
    for await (const chunk of await client.chat.completions.create({ ...body, stream: true })) {
      const delta = chunk.choices[0]?.delta as { content?: string | null, reasoning_content?: string } | undefined
      text += delta?.content ?? ''
      reasoning += delta?.reasoning_content ?? ''
    }
    expect([text, reasoning]).toEqual([content, others.reasoning_content])
  })

  it('counts the tokens of tools where it tokenizes', async () => {
    const response = await fetch(`${server.origin}/v1/tokenize`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ messages: [user('Hello!')], tools })
    })
    const { count } = await response.json() as { count: number }
    expect(count).toBe((await ask([user('Hello!')])).usage?.prompt_tokens)
  })
})
