import { type AIMessageChunk, HumanMessage, SystemMessage, ToolMessage, type UsageMetadata } from '@langchain/core/messages'
import { tool } from '@langchain/core/tools'
import { ChatOpenAI, type ChatOpenAIFields, OpenAIEmbeddings } from '@langchain/openai'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { ServerError } from '../../../src/domain/errors.ts'
import { startFakeServer } from '../../support/contract-servers.ts'
import { startFakeEmbedder } from '../../support/fake-embedder-server.ts'
import { answerEvents } from '../../support/scripted-inference.ts'
import { startScriptedServer } from '../../support/scripted-server.ts'

const pieces = (text: string): string[] => text.match(/[^]{1,4}/g) ?? []
const call = (name: string, input: object): string => `<tool_call>\n${JSON.stringify({ name, arguments: input })}\n</tool_call>`

const chatOf = ({ origin }: { readonly origin: string }, fields: Partial<ChatOpenAIFields> = {}): ChatOpenAI =>
  new ChatOpenAI({ model: 'scripted', apiKey: 'none', maxRetries: 0, configuration: { baseURL: `${origin}/v1` }, ...fields })

describe('the fake engine, through @langchain/openai', () => {
  it('is invoked, streamed and batched with the same text', async () => {
    await using server = await startFakeServer({})
    const chat = chatOf(server, { model: 'fake', temperature: 0, maxTokens: 24 })
    const question = [new SystemMessage('Be kind.'), new HumanMessage('Hello, how are you?')]
    const whole = await chat.invoke(question)
    expect(whole.text).not.toBe('')
    expect(['stop', 'length']).toContain(whole.response_metadata['finish_reason'])
    let streamed: AIMessageChunk | undefined
    for await (const chunk of await chat.stream(question)) streamed = streamed === undefined ? chunk : streamed.concat(chunk)
    expect(streamed?.text).toBe(whole.text)
    const { input_tokens: input, output_tokens: output, total_tokens: total }: UsageMetadata = whole.usage_metadata!
    expect(input).toBeGreaterThan(0)
    expect(streamed?.usage_metadata).toMatchObject({ input_tokens: input, output_tokens: output, total_tokens: total })
    const batch = await chat.batch([question, question, [new HumanMessage('Bye')]])
    expect(batch.map(({ text }) => text).slice(0, 2)).toEqual([whole.text, whole.text])
    expect(batch[2]?.text).not.toBe('')
  })
})

describe('tools, through @langchain/openai', () => {
  const weather = tool(({ city }) => `sunny in ${city}`, { name: 'get_weather', description: 'The weather', schema: z.object({ city: z.string() }) })
  const script = (prompt: string) => answerEvents(pieces(prompt.includes('<|tool|>') ? 'It is sunny in Rome.' : `I look.\n${call('get_weather', { city: 'Rome' })}`))

  it('are called and answered, invoked and streamed', async () => {
    await using server = await startScriptedServer(script)
    const chat = chatOf(server).bindTools([weather])
    const question = new HumanMessage('Rome?')
    const invoked = await chat.invoke([question])
    let streamed: AIMessageChunk | undefined
    for await (const chunk of await chat.stream([question])) streamed = streamed === undefined ? chunk : streamed.concat(chunk)
    for (const answer of [invoked, streamed!]) {
      expect(answer.text).toBe('I look.')
      expect(answer.tool_calls).toEqual([{ type: 'tool_call', id: expect.stringMatching(/^call_/), name: 'get_weather', args: { city: 'Rome' } }])
      const result: unknown = await weather.invoke(answer.tool_calls![0]!)
      if (!(result instanceof ToolMessage)) throw new Error('A call is answered by a message of the tool')
      expect((await chat.invoke([question, answer, result])).text).toBe('It is sunny in Rome.')
    }
    expect(server.prompts.at(-1)).toContain('I look.<tool_call>get_weather{"city": "Rome"}<|end|><|tool|>sunny in Rome<|end|>')
  })

  it('are demanded by name, and held to their schema', async () => {
    await using server = await startScriptedServer(script)
    await chatOf(server).bindTools([weather], { tool_choice: 'get_weather', strict: true }).invoke('Rome?')
    await chatOf(server).bindTools([weather], { tool_choice: 'any', parallel_tool_calls: false }).invoke('Rome?')
    for (const { sampling } of server.inference.requests) expect(sampling).toMatchObject({ grammar: expect.stringContaining('get_weather'), grammarTrigger: null })
  })
})

describe('structured output, through @langchain/openai', () => {
  const schema = z.object({ city: z.string(), degrees: z.number() })
  const rome = { city: 'Rome', degrees: 21 }

  it.each(['jsonSchema', 'functionCalling', 'jsonMode'] as const)('comes by %s', async (method) => {
    await using server = await startScriptedServer(() => answerEvents(pieces(method === 'functionCalling' ? call('extract', rome) : JSON.stringify(rome))))
    const chat = chatOf(server).withStructuredOutput(schema, { method, ...(method === 'functionCalling' ? { name: 'extract' } : {}) })
    expect(await chat.invoke('Rome?')).toEqual(rome)
    expect(server.inference.requests[0]?.sampling.grammar).not.toBe(null)
  })

  it('comes by default', async () => {
    await using server = await startScriptedServer((prompt) => answerEvents(pieces(prompt.includes('<tool_call>') ? call('extract', rome) : JSON.stringify(rome))))
    expect(await chatOf(server).withStructuredOutput(schema).invoke('Rome?')).toEqual(rome)
  })
})

describe('embeddings, through @langchain/openai', () => {
  type Fields = NonNullable<ConstructorParameters<typeof OpenAIEmbeddings>[0]>
  const embeddingsOf = ({ origin }: { readonly origin: string }, fields: Fields = {}): OpenAIEmbeddings =>
    new OpenAIEmbeddings({ model: 'embedder', apiKey: 'none', maxRetries: 0, configuration: { baseURL: `${origin}/v1` }, ...fields })

  it('are made of a query and of documents, the same', async () => {
    await using server = await startFakeEmbedder()
    const texts = ['the river bank', 'hello, world']
    const documents = await embeddingsOf(server).embedDocuments(texts)
    expect(documents.map((vector) => vector.length)).toEqual([server.size, server.size])
    expect(documents[0]).not.toEqual(documents[1])
    for (const vector of documents) expect(Math.hypot(...vector)).toBeCloseTo(1, 5)
    for (const [index, text] of texts.entries()) expect(await embeddingsOf(server).embedQuery(text)).toEqual(documents[index])
  })

  it('come in batches, as numbers too, and in as many dimensions as are asked for', async () => {
    await using server = await startFakeEmbedder()
    const texts = Array.from({ length: 50 }, (_, index) => `text ${index}`)
    const whole = await embeddingsOf(server).embedDocuments(texts)
    expect(await embeddingsOf(server, { batchSize: 7 }).embedDocuments(texts)).toEqual(whole)
    expect(await embeddingsOf(server, { encodingFormat: 'float' }).embedDocuments(texts)).toEqual(whole)
    const short = await embeddingsOf(server, { dimensions: 8 }).embedDocuments(texts)
    expect(short.map((vector) => vector.length)).toEqual(texts.map(() => 8))
  })

  it('are refused with status and code', async () => {
    await using server = await startFakeEmbedder()
    await expect(embeddingsOf(server).embedDocuments(['a', 'river '.repeat(200)])).rejects.toMatchObject({ status: 400, code: 'context_length_exceeded', param: 'input[1]' })
    await expect(embeddingsOf(server, { model: 'nobody' }).embedQuery('a')).rejects.toMatchObject({ status: 404, code: 'model_not_found' })
  })
})

describe('what goes wrong, through @langchain/openai', () => {
  it('is told with its status and code', async () => {
    await using server = await startScriptedServer(() => answerEvents(['x']))
    await expect(chatOf(server, { temperature: 3 }).invoke('Hi')).rejects.toMatchObject({ status: 400, code: 'invalid_value', param: 'temperature' })
    await expect(chatOf(server, { model: 'gpt-nonsense' }).invoke('Hi')).rejects.toMatchObject({ status: 404, code: 'model_not_found' })
  })

  it('is tried again where that may help', async () => {
    let left = 2
    await using server = await startScriptedServer(() => left-- > 0
      ? [{ type: 'throw', error: new ServerError('queue_full', 'Full', { retryAfterMs: 1 }) }]
      : answerEvents(['Hello']))
    expect((await chatOf(server, { maxRetries: 3 }).invoke('Hi')).text).toBe('Hello')
    expect(server.inference.requests).toHaveLength(3)
  })

  it('is an error of a stream that has begun', async () => {
    let fail = (): void => {}
    const failed = new Promise<void>((resolve) => { fail = resolve })
    const died = new ServerError('engine_error', 'The engine broke')
    await using server = await startScriptedServer(() => [...answerEvents(['Hel']).slice(0, 3), { type: 'wait', until: failed }, { type: 'throw', error: died }])
    let text = ''
    const reading = (async () => {
      for await (const chunk of await chatOf(server).stream('Hi')) {
        text += chunk.text
        if (text !== '') fail()
      }
    })()
    await expect(reading).rejects.toThrow('The engine broke')
    expect(text).toBe('Hel')
  })

  it('ends its request when the client leaves', async () => {
    await using server = await startScriptedServer(() => [...answerEvents(['Hel']).slice(0, 3), { type: 'wait', until: new Promise(() => {}) }])
    const leaving = new AbortController()
    const aborted = server.inference.nextAbort()
    const reading = (async () => {
      for await (const chunk of await chatOf(server).stream('Hi', { signal: leaving.signal })) if (chunk.text !== '') leaving.abort()
    })()
    await expect(reading).rejects.toThrow(/abort/i)
    await aborted
    expect(server.inference.aborted).toHaveLength(1)
  })
})
