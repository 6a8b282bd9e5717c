import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { APICallError, cosineSimilarity, embed, embedMany, generateObject, generateText, Output, RetryError, stepCountIs, streamText, tool } from 'ai'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ServerError } from '../../../src/domain/errors.ts'
import { startFakeServer } from '../../support/contract-servers.ts'
import { startFakeEmbedder } from '../../support/fake-embedder-server.ts'
import { answerEvents } from '../../support/scripted-inference.ts'
import { type ScriptedServer, startScriptedServer } from '../../support/scripted-server.ts'

// The client would write to the console what it thinks of a provider's settings.
Object.assign(globalThis, { AI_SDK_LOG_WARNINGS: false })

const pieces = (text: string): string[] => text.match(/[^]{1,4}/g) ?? []
const call = (name: string, input: object): string => `<tool_call>\n${JSON.stringify({ name, arguments: input })}\n</tool_call>`

const providerOf = ({ origin }: { readonly origin: string }) =>
  createOpenAICompatible({ name: 'drawbridge', baseURL: `${origin}/v1`, apiKey: 'none', includeUsage: true, supportsStructuredOutputs: true })
const modelOf = (server: ScriptedServer) => providerOf(server).chatModel('scripted')

describe('the fake engine, through ai and @ai-sdk/openai-compatible', () => {
  it('generates and streams the same text, with usage', async () => {
    await using server = await startFakeServer({})
    const ask = { model: providerOf(server).chatModel('fake'), system: 'Be kind.', prompt: 'Hello, how are you?', temperature: 0, maxOutputTokens: 24, seed: 1 }
    const whole = await generateText(ask)
    expect(whole.text).not.toBe('')
    expect(['stop', 'length']).toContain(whole.finishReason)
    expect(whole.warnings ?? []).toEqual([])
    const stream = streamText(ask)
    let text = ''
    for await (const delta of stream.textStream) text += delta
    expect(text).toBe(whole.text)
    expect(await stream.finishReason).toBe(whole.finishReason)
    const { inputTokens, outputTokens, totalTokens } = whole.usage
    expect(inputTokens).toBeGreaterThan(0)
    expect(await stream.usage).toMatchObject({ inputTokens, outputTokens, totalTokens })
    expect((await stream.usage).inputTokenDetails.cacheReadTokens).toBeGreaterThan(0)
  })

  it('completes text', async () => {
    await using server = await startFakeServer({})
    const { text } = await generateText({ model: providerOf(server).completionModel('fake'), prompt: 'Once upon a time', maxOutputTokens: 8 })
    expect(text).not.toBe('')
  })
})

describe('tools, through ai and @ai-sdk/openai-compatible', () => {
  const tools = (asked: unknown[]) => ({
    get_weather: tool({
      description: 'The weather',
      inputSchema: z.object({ city: z.string().describe('Where') }),
      execute: (input) => {
        asked.push(input)
        return { condition: 'sunny' }
      }
    }),
    get_time: tool({ description: 'The time', inputSchema: z.object({}), execute: (): string => { throw new Error('no clock') } })
  })
  const script = (prompt: string) => answerEvents(pieces(prompt.includes('<|tool|>')
    ? 'It is sunny in Rome.'
    : `<think>\nTwo calls.\n</think>\n\nI look.\n${call('get_weather', { city: 'Rome' })}\n${call('get_time', {})}`))

  it('take their steps to the answer, in one piece and as a stream', async () => {
    await using server = await startScriptedServer(script)
    const asked: unknown[] = []
    const ask = { model: modelOf(server), prompt: 'Rome?', tools: tools(asked), stopWhen: stepCountIs(3) }
    const whole = await generateText(ask)
    expect(whole.text).toBe('It is sunny in Rome.')
    const [first, second] = whole.steps
    expect(whole.steps).toHaveLength(2)
    expect(first).toMatchObject({ text: 'I look.', reasoningText: 'Two calls.', finishReason: 'tool-calls' })
    expect(first?.toolCalls.map(({ toolName, input }) => [toolName, input])).toEqual([['get_weather', { city: 'Rome' }], ['get_time', {}]])
    expect(second?.finishReason).toBe('stop')
    // What the client sends back: calls, reasoning and results, one of them an error.
    expect(server.prompts[1]).toMatch(/<\|assistant\|><think>Two calls\.<\/think>I look\.<tool_call>get_weather\{"city": "Rome"\}<tool_call>get_time\{\}<\|end\|><\|tool\|>\{"condition":"sunny"\}<\|end\|><\|tool\|>no clock<\|end\|>/)

    const stream = streamText(ask)
    const types = new Set<string>()
    for await (const part of stream.fullStream) types.add(part.type)
    expect(await stream.text).toBe('It is sunny in Rome.')
    for (const type of ['reasoning-delta', 'text-delta', 'tool-input-delta', 'tool-call', 'tool-result', 'tool-error', 'finish']) expect(types).toContain(type)
    expect(types).not.toContain('error')
    expect((await stream.steps)[0]?.toolCalls.map(({ toolName, input }) => [toolName, input])).toEqual([['get_weather', { city: 'Rome' }], ['get_time', {}]])
    expect(asked).toEqual([{ city: 'Rome' }, { city: 'Rome' }])
  })

  it('are demanded and forbidden', async () => {
    await using server = await startScriptedServer(() => answerEvents(pieces(call('get_weather', { city: 'Rome' }))))
    const ask = { model: modelOf(server), prompt: 'Rome?', tools: tools([]) }
    await generateText({ ...ask, toolChoice: 'required' })
    await generateText({ ...ask, toolChoice: { type: 'tool', toolName: 'get_weather' } })
    const none = await generateText({ ...ask, toolChoice: 'none' })
    expect(none.toolCalls).toEqual([])
    const [required, named, forbidden] = server.inference.requests.map(({ sampling }) => sampling)
    expect(required).toMatchObject({ grammar: expect.stringContaining('get_time'), grammarTrigger: null })
    expect(named?.grammar).not.toContain('get_time')
    expect(forbidden?.grammar).toBe(null)
  })
})

describe('objects, through ai and @ai-sdk/openai-compatible', () => {
  const schema = z.object({ city: z.string(), degrees: z.number().int().min(-50).max(60) })
  const rome = { city: 'Rome', degrees: 21 }

  it('are generated and streamed, held to their schema', async () => {
    await using server = await startScriptedServer(() => answerEvents(pieces(JSON.stringify(rome))))
    const ask = { model: modelOf(server), prompt: 'Rome?' }
    expect((await generateObject({ ...ask, schema })).object).toEqual(rome)
    expect((await generateText({ ...ask, output: Output.object({ schema }) })).output).toEqual(rome)
    const stream = streamText({ ...ask, output: Output.object({ schema }) })
    const parts: unknown[] = []
    for await (const part of stream.partialOutputStream) parts.push(part)
    expect(parts.at(-1)).toEqual(rome)
    expect(parts.length).toBeGreaterThan(1)
    for (const { sampling } of server.inference.requests) expect(sampling.grammar).toContain('degrees')
  })

  it('are any JSON where the provider is not told that schemas are known', async () => {
    await using server = await startScriptedServer(() => answerEvents(pieces(JSON.stringify(rome))))
    const provider = createOpenAICompatible({ name: 'drawbridge', baseURL: `${server.origin}/v1` })
    expect((await generateObject({ model: provider('scripted'), prompt: 'Rome?', schema })).object).toEqual(rome)
    expect(server.inference.requests[0]?.sampling.grammar).not.toBe(null)
  })
})

describe('embeddings, through ai and @ai-sdk/openai-compatible', () => {
  it('are made one by one and together, the same', async () => {
    await using server = await startFakeEmbedder()
    const model = providerOf(server).embeddingModel('embedder')
    const values = ['the river bank', 'hello, world']
    const many = await embedMany({ model, values })
    expect(many.embeddings.map((vector) => vector.length)).toEqual([server.size, server.size])
    expect(many.usage.tokens).toBeGreaterThan(0)
    for (const [index, value] of values.entries()) {
      const one = await embed({ model, value })
      expect(one.embedding).toEqual(many.embeddings[index])
      expect(cosineSimilarity(one.embedding, one.embedding)).toBeCloseTo(1, 6)
    }
  })

  it('come in several requests where there are many, and in as many dimensions as are asked for', async () => {
    await using server = await startFakeEmbedder()
    const model = providerOf(server).embeddingModel('embedder')
    const values = Array.from({ length: 2100 }, (_, index) => `text ${index}`)
    const { embeddings } = await embedMany({ model, values, providerOptions: { drawbridge: { dimensions: 8, user: 'ann' } } })
    expect(embeddings).toHaveLength(values.length)
    for (const index of [0, 2047, 2048, 2099]) {
      const { embedding } = await embed({ model, value: values[index]!, providerOptions: { drawbridge: { dimensions: 8 } } })
      expect(embedding).toHaveLength(8)
      expect(embedding).toEqual(embeddings[index])
    }
  })

  it('are refused with status, message and code', async () => {
    await using server = await startFakeEmbedder()
    const provider = providerOf(server)
    const tooLong = await embedMany({ model: provider.embeddingModel('embedder'), values: ['a', 'river '.repeat(200)], maxRetries: 0 }).catch((thrown: unknown) => thrown)
    expect(tooLong).toMatchObject({ statusCode: 400, isRetryable: false, data: { error: { code: 'context_length_exceeded', param: 'input[1]' } } })
    const unknown = await embed({ model: provider.embeddingModel('nobody'), value: 'a', maxRetries: 0 }).catch((thrown: unknown) => thrown)
    expect(unknown).toMatchObject({ statusCode: 404, data: { error: { code: 'model_not_found' } } })
  })
})

describe('what goes wrong, through ai and @ai-sdk/openai-compatible', () => {
  it('is told with its status, message and code', async () => {
    await using server = await startScriptedServer(() => [])
    const error: unknown = await generateText({ model: modelOf(server), prompt: 'Hi', temperature: 3, maxRetries: 0 }).catch((thrown: unknown) => thrown)
    expect(APICallError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({ statusCode: 400, isRetryable: false, message: expect.stringContaining('temperature'), data: { error: { code: 'invalid_value', param: 'temperature' } } })
  })

  it('is tried again where that may help', async () => {
    let left = 2
    await using server = await startScriptedServer(() => left-- > 0
      ? [{ type: 'throw', error: new ServerError('queue_full', 'Full', { retryAfterMs: 1 }) }]
      : answerEvents(['Hello']))
    expect((await generateText({ model: modelOf(server), prompt: 'Hi' })).text).toBe('Hello')
    expect(server.inference.requests).toHaveLength(3)
    left = 2
    const error: unknown = await generateText({ model: modelOf(server), prompt: 'Hi', maxRetries: 1 }).catch((thrown: unknown) => thrown)
    expect(RetryError.isInstance(error)).toBe(true)
    expect(error).toMatchObject({ lastError: { statusCode: 429, isRetryable: true } })
  })

  it('is an error of a stream that has begun', async () => {
    let fail = (): void => {}
    const failed = new Promise<void>((resolve) => { fail = resolve })
    const died = new ServerError('engine_crashed', 'The engine died')
    await using server = await startScriptedServer(() => [...answerEvents(['Hel']).slice(0, 3), { type: 'wait', until: failed }, { type: 'throw', error: died }])
    const errors: unknown[] = []
    const stream = streamText({ model: modelOf(server), prompt: 'Hi', onError: ({ error }) => { errors.push(error) } })
    let text = ''
    for await (const part of stream.fullStream) {
      if (part.type !== 'text-delta') continue
      text += part.text
      fail()
    }
    expect(text).toBe('Hel')
    expect(errors).toHaveLength(1)
    expect(JSON.stringify(errors)).toContain('The engine died')
  })

  it('ends its request when the client leaves', async () => {
    await using server = await startScriptedServer(() => [...answerEvents(['Hel']).slice(0, 3), { type: 'wait', until: new Promise(() => {}) }])
    const leaving = new AbortController()
    const aborted = server.inference.nextAbort()
    const types: string[] = []
    for await (const part of streamText({ model: modelOf(server), prompt: 'Hi', abortSignal: leaving.signal }).fullStream) {
      types.push(part.type)
      if (part.type === 'text-delta') leaving.abort()
    }
    await aborted
    expect(types.at(-1)).toBe('abort')
    expect(server.inference.aborted).toHaveLength(1)
  })
})
