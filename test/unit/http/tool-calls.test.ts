import { afterEach, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import type { OpenAI } from 'openai'
import type { ModelInfo } from '../../../src/engine/engine.ts'
import type { ModelHost } from '../../../src/models/model-host.ts'
import { GbnfMatcher } from '../../support/gbnf-matcher.ts'
import { answerEvents, createScriptedInference, type ScriptStep } from '../../support/scripted-inference.ts'
import { readSse } from '../../support/sse.ts'
import { buildTestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

type Chunk = OpenAI.Chat.ChatCompletionChunk
interface Delta extends OpenAI.Chat.ChatCompletionChunk.Choice.Delta {
  readonly reasoning_content?: string
  readonly reasoning?: string
}

const apps: FastifyInstance[] = []
afterEach(async () => { for (const app of apps.splice(0)) await app.close() })

const chatTemplate = `{% for tool in tools or [] %}<tool_call>{{ tool.function.name }}{% endfor %}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}
{%- for call in m.tool_calls or [] %}<tool_call>{{ call.function.name }}{{ call.function.arguments | tojson }}{% endfor %}{{ m.tool_call_id }}<|end|>{% endfor %}<|assistant|>`
const tools = ['get_weather', 'get_time'].map((name) => ({
  type: 'function', function: { name, parameters: { $schema: 'x', type: 'object', properties: { city: { type: 'string' } } } }
}))
const hello = { model: 'test-model', messages: [{ role: 'user', content: 'Hi' }], tools }

async function setUp (script: readonly ScriptStep[], options: { model?: Partial<ModelInfo>, host?: Partial<ModelHost> } = {}) {
  const inference = createScriptedInference(() => script, { model: { chatTemplate, ...options.model } })
  const { app, logText } = await buildTestApp([Object.assign(createTestHost(inference), options.host)], { randomSeed: () => 1 })
  apps.push(app)
  const post = async (body: object) => await app.inject({ method: 'POST', url: '/v1/chat/completions', payload: body })
  return {
    inference,
    logText,
    post,
    choice: async (changes: object = {}) => (await post({ ...hello, ...changes })).json<OpenAI.Chat.ChatCompletion>().choices[0],
    chunks: async (changes: object = {}) => (readSse((await post({ ...hello, stream: true, ...changes })).body) as (Chunk | '[DONE]')[]).filter((chunk): chunk is Chunk => chunk !== '[DONE]')
  }
}

const pieces = (text: string, length = 3): string[] => text.match(new RegExp(`[^]{1,${length}}`, 'g')) ?? []
const twoCalls = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>\n<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>'
const id = expect.stringMatching(/^call_[0-9a-f]{24}$/)

describe('an answer with calls', () => {
  it('has OpenAI\'s shape in one piece', async () => {
    const { choice } = await setUp(answerEvents(pieces(twoCalls)))
    expect(await choice()).toEqual({
      index: 0,
      message: {
        role: 'assistant',
        content: null,
        refusal: null,
        annotations: [],
        tool_calls: [
          { id, type: 'function', function: { name: 'get_weather', arguments: '{"city": "Rome"}' } },
          { id, type: 'function', function: { name: 'get_time', arguments: '{}' } }
        ]
      },
      logprobs: null,
      finish_reason: 'tool_calls'
    })
  })

  it('has OpenAI\'s shape as a stream: the role, then of each call its name once and its arguments in pieces', async () => {
    const { chunks } = await setUp(answerEvents(pieces(twoCalls, 7)))
    const all = await chunks()
    const deltas = all.map((chunk) => chunk.choices[0]?.delta)
    expect(deltas[0]).toEqual({ role: 'assistant', content: null, refusal: null })
    expect(deltas.at(-1)).toEqual({})
    const calls = deltas.slice(1, -1).map((delta) => {
      expect(Object.keys(delta ?? {})).toEqual(['tool_calls'])
      expect(delta?.tool_calls).toHaveLength(1)
      return delta?.tool_calls?.[0]
    })
    expect(calls.filter((call) => call?.id !== undefined)).toEqual([
      { index: 0, id, type: 'function', function: { name: 'get_weather', arguments: '' } },
      { index: 1, id, type: 'function', function: { name: 'get_time', arguments: '' } }
    ])
    for (const call of calls.filter((each) => each?.id === undefined)) {
      expect(call).toEqual({ index: expect.any(Number), function: { arguments: expect.any(String) } })
    }
    const argumentsOf = (index: number): string => calls.filter((call) => call?.index === index).map((call) => call?.function?.arguments).join('')
    expect([argumentsOf(0), argumentsOf(1)]).toEqual(['{"city": "Rome"}', '{}'])
    expect(calls.map((call) => call?.index)).toEqual(calls.map((call) => call?.index).sort())
    expect(calls.length).toBeGreaterThan(4)
    expect(all.map((chunk) => chunk.choices[0]?.finish_reason).filter((reason) => reason !== null)).toEqual(['tool_calls'])
  })

  it('has its content beside the calls', async () => {
    const { choice, chunks } = await setUp(answerEvents(pieces(`I look.\n${twoCalls}`)))
    expect((await choice())?.message.content).toBe('I look.')
    const deltas = (await chunks()).map((chunk) => chunk.choices[0]?.delta)
    expect(deltas[0]).toEqual({ role: 'assistant', content: '', refusal: null })
    expect(deltas.map((delta) => delta?.content ?? '').join('')).toBe('I look.')
  })

  it('ends with its length where that ends it, with as much of the arguments as there is', async () => {
    const { choice } = await setUp(answerEvents(pieces(twoCalls.slice(0, 60)), { reason: 'length' }))
    expect(await choice()).toMatchObject({ finish_reason: 'length', message: { tool_calls: [{ function: { name: 'get_weather', arguments: '{"city": "R' } }] } })
  })

  it('has the first call alone where the client wants no more', async () => {
    const { choice, chunks } = await setUp(answerEvents(pieces(twoCalls)))
    expect((await choice({ parallel_tool_calls: false }))?.message.tool_calls).toHaveLength(1)
    expect((await chunks({ parallel_tool_calls: false })).flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []).every(({ index }) => index === 0)).toBe(true)
  })

  it('keeps the calls of choices apart', async () => {
    const { post } = await setUp(answerEvents(pieces(twoCalls), { choices: 2 }))
    const { choices } = (await post({ ...hello, n: 2 })).json<OpenAI.Chat.ChatCompletion>()
    expect(choices.map(({ index, message }) => [index, message.tool_calls?.length])).toEqual([[0, 2], [1, 2]])
    expect(new Set(choices.flatMap(({ message }) => message.tool_calls?.map((call) => call.id) ?? [])).size).toBe(4)
  })

  it('has log-probabilities of its content alone', async () => {
    const { choice, chunks } = await setUp(answerEvents(['I', ' look', '\n', '<tool', '_call>{"name": "get_time",', ' "arguments": {}}', '</tool_call>'], { withLogprobs: true }))
    expect((await choice({ logprobs: true }))?.logprobs?.content?.map(({ token }) => token)).toEqual(['I', ' look'])
    const streamed = (await chunks({ logprobs: true })).flatMap((chunk) => chunk.choices[0]?.logprobs?.content ?? [])
    expect(streamed.map(({ token }) => token)).toEqual(['I', ' look'])
  })

  it('is content where the request has no tools, or none to call', async () => {
    const { choice, inference } = await setUp(answerEvents(pieces(twoCalls)))
    expect(await choice({ tools: undefined })).toMatchObject({ message: { content: twoCalls }, finish_reason: 'stop' })
    expect(await choice({ tool_choice: 'none' })).toMatchObject({ message: { content: twoCalls }, finish_reason: 'stop' })
    for (const { sampling, prompt } of inference.requests) {
      expect(sampling).toMatchObject({ grammar: null, grammarTrigger: null })
      expect(prompt).toEqual({ segments: [{ text: '<|user|>Hi<|end|><|assistant|>', origin: 'template' }] })
    }
  })

  it('is never logged', async () => {
    const { choice, logText } = await setUp(answerEvents(pieces(twoCalls)))
    await choice()
    expect(logText()).toContain('request finished')
    expect(logText()).not.toMatch(/Rome|get_weather/)
  })
})

describe('a request with tools', () => {
  it('has its calls held by a grammar', async () => {
    const { choice, inference } = await setUp(answerEvents(['x']))
    await choice()
    await choice({ tool_choice: 'required' })
    await choice({ tool_choice: { type: 'function', function: { name: 'get_time' } } })
    await choice({ tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'required', tools: [{ type: 'function', function: { name: 'get_weather' } }] } } })
    const [auto, required, named, allowed] = inference.requests.map(({ sampling }) => sampling)
    expect(auto).toMatchObject({ grammar: expect.stringContaining('get_weather'), grammarTrigger: '<tool_call>' })
    expect(required).toMatchObject({ grammar: expect.stringContaining('get_weather'), grammarTrigger: null })
    expect(named?.grammarTrigger).toBe(null)
    expect(named?.grammar).toMatch(/get_time/)
    expect(named?.grammar).not.toMatch(/get_weather/)
    expect(allowed?.grammar).toMatch(/get_weather/)
    expect(allowed?.grammar).not.toMatch(/get_time/)
  })

  it('may ask for a format of the answers that are no calls', async () => {
    const { choice, inference } = await setUp(answerEvents(['{"city":"Rome"}']))
    const format = { response_format: { type: 'json_schema', json_schema: { name: 'place', schema: { type: 'object', properties: { city: { type: 'string' } } } } } }
    expect(await choice(format)).toMatchObject({ message: { content: '{"city":"Rome"}' }, finish_reason: 'stop' })
    await choice({ ...format, tool_choice: 'required' })
    await choice({ ...format, tool_choice: 'none' })
    const [auto, required, none] = inference.requests.map(({ sampling }) => sampling)
    const call = '<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>'
    const verdicts = [auto, required, none].map((sampling) => {
      expect(sampling?.grammarTrigger).toBe(null)
      const matcher = new GbnfMatcher(`${sampling?.grammar ?? ''}\n`)
      return ['{"city":"Rome"}', call, 'Rome'].map((text) => matcher.accepts(text))
    })
    expect(verdicts).toEqual([[true, true, false], [false, true, false], [true, false, false]])
  })

  it('has calls and results of earlier turns in its prompt, as clients send them back', async () => {
    const { choice, inference } = await setUp(answerEvents(['Sunny.']))
    const answer = await choice({
      messages: [
        { role: 'user', content: 'Rain?' },
        {
          role: 'assistant',
          content: null,
          refusal: null,
          annotations: [],
          audio: null,
          function_call: null,
          parsed: null,
          reasoning_content: 'Hm.',
          reasoning: 'Hm.',
          tool_calls: [{ index: 0, id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{"city": "Rome"}', parsed_arguments: null } }]
        },
        { role: 'tool', tool_call_id: 'call_1', content: [{ type: 'text', text: 'sun' }, { type: 'text', text: 'wind' }] }
      ]
    })
    expect(answer).toMatchObject({ message: { role: 'assistant', content: 'Sunny.', refusal: null }, finish_reason: 'stop' })
    expect(inference.requests[0]?.prompt).toEqual({
      segments: [{ text: '<tool_call>get_weather<tool_call>get_time<|user|>Rain?<|end|><|assistant|><tool_call>get_weather{"city": "Rome"}<|end|><|tool|>sun\nwindcall_1<|end|><|assistant|>', origin: 'template' }]
    })
  })

  it('is read in the dialect that the model was given', async () => {
    const text = '[TOOL_CALLS]get_weather[ARGS]{"city": "Rome"}'
    const { choice, inference } = await setUp(answerEvents(pieces(text)), { host: { toolDialect: 'mistral' }, model: { controlTexts: ['[TOOL_CALLS]', '[ARGS]', '<|end|>'] } })
    expect(await choice()).toMatchObject({ finish_reason: 'tool_calls', message: { tool_calls: [{ function: { name: 'get_weather', arguments: '{"city": "Rome"}' } }] } })
    expect(inference.requests[0]).toMatchObject({ shownControlTexts: ['[TOOL_CALLS]', '[ARGS]'], sampling: { grammarTrigger: '[TOOL_CALLS]' } })
  })
})

describe('an answer with reasoning', () => {
  const text = '<think>\nA greeting.\n</think>\n\nHello!'

  it('has it apart from the content, under both of its names', async () => {
    const { post, chunks } = await setUp(answerEvents(pieces(text)))
    const body = (await post({ ...hello, tools: undefined })).json<OpenAI.Chat.ChatCompletion>()
    expect(body.choices[0]?.message).toEqual({ role: 'assistant', content: 'Hello!', refusal: null, annotations: [], reasoning_content: 'A greeting.', reasoning: 'A greeting.' })
    const drawn = pieces(text).length
    expect(body.usage).toMatchObject({ completion_tokens: drawn, completion_tokens_details: { reasoning_tokens: expect.any(Number) } })
    const { reasoning_tokens: tokens } = body.usage?.completion_tokens_details ?? {}
    expect(tokens).toBeGreaterThan(4)
    expect(tokens).toBeLessThan(drawn)

    const streamed = await chunks({ tools: undefined, stream_options: { include_usage: true } })
    const deltas = streamed.map((chunk) => chunk.choices[0]?.delta as Delta | undefined)
    expect(deltas[0]).toEqual({ role: 'assistant', content: null, refusal: null })
    expect(deltas.map((delta) => delta?.reasoning_content ?? '').join('')).toBe('A greeting.')
    expect(deltas.map((delta) => delta?.reasoning ?? '').join('')).toBe('A greeting.')
    expect(deltas.map((delta) => delta?.content ?? '').join('')).toBe('Hello!')
    expect(streamed.at(-1)?.usage?.completion_tokens_details?.reasoning_tokens).toBe(tokens)
  })

  it('has it in the content where the client wants it there', async () => {
    const { choice } = await setUp(answerEvents(pieces(text)))
    expect((await choice({ reasoning_format: 'none', tools: undefined }))?.message).toEqual({ role: 'assistant', content: text, refusal: null, annotations: [] })
  })

  it('has log-probabilities of its content alone', async () => {
    const { choice } = await setUp(answerEvents(['<think>', 'Hm', '</think>', '\n\n', 'Hello', '!'], { withLogprobs: true }))
    expect((await choice({ logprobs: true, tools: undefined }))?.logprobs?.content?.map(({ token }) => token).slice(-2)).toEqual(['Hello', '!'])
    expect((await choice({ logprobs: true, tools: undefined }))?.logprobs?.content?.map(({ token }) => token)).not.toContain('Hm')
  })

  it('may have a budget of tokens, under each of its names', async () => {
    const { choice, inference } = await setUp(answerEvents(['x']), { model: { chatTemplate: '{{ messages[0].content }}<think>' } })
    await choice({ tools: undefined, reasoning_budget: 5 })
    await choice({ tools: undefined, reasoning_budget_tokens: 6, reasoning_budget: 6 })
    await choice({ tools: undefined, thinking_token_budget: 0 })
    await choice({ tools: undefined, reasoning_budget: -1 })
    expect(inference.requests.map(({ sampling }) => sampling.reasoningLimit)).toEqual([
      ...[5, 6, 0].map((tokens) => ({ tokens, open: null, close: '</think>' })), null
    ])
  })

  it('has nothing else where it is nothing else', async () => {
    const { choice } = await setUp(answerEvents(['<think>', 'Hm'], { reason: 'length' }))
    expect(await choice({ tools: undefined })).toMatchObject({ message: { content: '', reasoning_content: 'Hm' }, finish_reason: 'length' })
  })
})
