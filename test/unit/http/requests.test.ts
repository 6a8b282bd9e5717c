import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import type { OpenAI } from 'openai'
import { chatCompletionRequestSchema } from '../../../src/http/schemas/chat-completion-request.ts'
import { completionRequestSchema } from '../../../src/http/schemas/completion-request.ts'
import { chatParameterPolicies, completionParameterPolicies } from '../../../src/http/schemas/parameter-policy.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const inference = createScriptedInference(() => answerEvents(['x']))
let app: FastifyInstance
beforeAll(async () => { ({ app } = await buildTestApp([createTestHost(inference)], { config: { bodyLimit: 65_536 } })) })
afterAll(async () => await app.close())

const hello = { model: 'test-model', messages: [{ role: 'user', content: 'Hi' }] }
const post = async (payload: object | string, headers: Record<string, string> = { 'content-type': 'application/json' }) =>
  await app.inject({ method: 'POST', url: '/v1/chat/completions', payload, headers })

describe('a request body', () => {
  it('may hold what has no effect', async () => {
    const response = await post({
      ...hello,
      messages: [
        { role: 'developer', content: 'x' },
        { role: 'assistant', content: null, refusal: null, annotations: [], audio: null, tool_calls: [] },
        // As the stream helper of OpenAI's client hands it out.
        { role: 'assistant', content: 'x', refusal: null, parsed: null },
        { role: 'assistant', content: [{ type: 'refusal', refusal: 'no' }] },
        { role: 'user', content: 'Hi', name: 'Ann' }
      ],
      user: 'u',
      metadata: { a: 'b' },
      safety_identifier: 's',
      prompt_cache_key: 'k',
      store: false,
      service_tier: 'auto',
      parallel_tool_calls: true,
      reasoning_effort: 'none',
      reasoning_budget: -1,
      verbosity: 'medium',
      modalities: ['text'],
      response_format: { type: 'text' },
      tools: [],
      tool_choice: 'none',
      top_logprobs: 0,
      repetition_penalty: 1,
      skip_special_tokens: true
    })
    expect(response.statusCode).toBe(200)
  })

  it('is answered with as many tokens as it asks for and the model may write', async () => {
    const own = createScriptedInference(() => answerEvents(['x']))
    const { app: limited } = await buildTestApp([Object.assign(createTestHost(own), { answerLength: { byDefault: 100, atMost: 200 } })])
    for (const changes of [{}, { max_tokens: 50 }, { max_tokens: 500 }, { max_tokens: 500, max_completion_tokens: 150 }]) {
      expect((await limited.inject({ method: 'POST', url: '/v1/chat/completions', payload: { ...hello, ...changes } })).statusCode).toBe(200)
    }
    for (const changes of [{}, { max_tokens: 500 }]) {
      expect((await limited.inject({ method: 'POST', url: '/v1/completions', payload: { model: 'test-model', prompt: 'x', ...changes } })).statusCode).toBe(200)
    }
    expect(own.requests.map(({ maxTokens }) => maxTokens)).toEqual([100, 50, 200, 150, 16, 200])
    await limited.close()
  })

  it('is refused before its prompt is rendered when what it says cannot fit', async () => {
    const chatTemplate = '{% for m in messages %}{{ raise_exception("I was rendered") if m.content | length > 100 else m.content }}{% endfor %}'
    const own = createScriptedInference(() => answerEvents(['x']), { info: { contextSize: 50 }, model: { chatTemplate, longestTokenBytes: 4 } })
    const { app: short } = await buildTestApp([createTestHost(own)])
    const codeFor = async (...messages: readonly object[]): Promise<unknown> =>
      (await short.inject({ method: 'POST', url: '/v1/chat/completions', payload: { ...hello, messages } })).json<{ error: { code: string } }>().error.code
    expect(await codeFor({ role: 'user', content: 'a'.repeat(199) })).toBe('context_length_exceeded')
    expect(await codeFor({ role: 'system', content: 'a'.repeat(100) }, { role: 'user', content: 'a'.repeat(99) })).toBe('context_length_exceeded')
    // Templates may leave out what the assistant thought.
    expect(await codeFor({ role: 'assistant', content: 'a'.repeat(199) }, { role: 'user', content: 'a' })).toBe('chat_template_error')
    await short.close()
  })

  it('may hold a prediction of the answer, as a text or as parts', async () => {
    for (const content of ['first\nsecond', [{ type: 'text', text: 'first' }, { type: 'text', text: 'second' }]]) {
      expect((await post({ ...hello, prediction: { type: 'content', content } })).statusCode).toBe(200)
      expect(inference.requests.at(-1)?.prediction).toBe('first\nsecond')
    }
    await post(hello)
    expect(inference.requests.at(-1)).not.toHaveProperty('prediction')
  })

  it('may hold null for every parameter but those that are required', async () => {
    const names = [...Object.keys(chatCompletionRequestSchema.shape), ...Object.keys(chatParameterPolicies)].filter((name) => !Object.hasOwn(hello, name))
    expect(names.length).toBeGreaterThan(80)
    const nulls = (of: readonly string[]) => Object.fromEntries(of.map((name) => [name, null]))
    expect((await post({ ...hello, ...nulls(names) })).statusCode).toBe(200)
    const completionNames = [...Object.keys(completionRequestSchema.shape), ...Object.keys(completionParameterPolicies)].filter((name) => name !== 'model')
    const response = await app.inject({ method: 'POST', url: '/v1/completions', payload: { model: 'test-model', ...nulls(completionNames) } })
    expect(response.statusCode).toBe(200)
    // No prompt is the beginning of a document.
    expect(inference.requests.at(-1)?.prompt).toEqual({ segments: [{ text: '', origin: 'template' }] })
  })

  it('may hold null for every member of an object that OpenAI lets be null', async () => {
    const response = await post({
      ...hello,
      messages: [
        { role: 'system', content: [{ type: 'text', text: 'x', prompt_cache_breakpoint: null }], name: null },
        { role: 'user', content: 'x', name: null },
        { role: 'assistant', content: null, name: null, refusal: null, annotations: null, audio: null, function_call: null, parsed: null, reasoning: null, reasoning_content: null, tool_calls: [{ index: null, id: 'call_1', type: null, function: { name: 'f', arguments: '', parsed_arguments: null } }] },
        { role: 'tool', tool_call_id: 'call_1', content: 'x', name: null },
        { role: 'assistant', content: 'x', tool_calls: null },
        ...hello.messages
      ],
      stream: true,
      stream_options: { include_usage: null, include_obfuscation: null, continuous_usage_stats: null },
      tools: [{ type: 'function', function: { name: 'f', description: null, parameters: null, strict: null } }],
      tool_choice: 'none',
      response_format: { type: 'json_schema', json_schema: { name: 'x', description: null, schema: null, strict: null } }
    })
    expect(response.statusCode).toBe(200)
  })

  it.each([
    ['temperature', 0, 2], ['top_p', 0, 1], ['presence_penalty', -2, 2], ['frequency_penalty', -2, 2], ['n', 1, 32], ['seed', -(2 ** 63), 2 ** 63 - 1]
  ])('may hold the least and the most of %s', async (name, least, most) => {
    for (const value of [least, most]) expect((await post({ ...hello, [name]: value })).statusCode).toBe(200)
  })

  it('may hold as much as OpenAI takes', async () => {
    const name = 'x'.repeat(64)
    const response = await post({
      ...hello,
      stop: Array.from({ length: 16 }, (_, index) => `stop ${index}`),
      logprobs: true,
      top_logprobs: 20,
      logit_bias: { 0: -100, 255: 100 },
      metadata: Object.fromEntries(Array.from({ length: 16 }, (_, index) => [`${index}`.padStart(64, 'k'), 'v'.repeat(512)])),
      safety_identifier: name,
      tools: Array.from({ length: 128 }, (_, index) => ({ type: 'function', function: { name: `${index}`.padStart(64, 'f') } })),
      tool_choice: 'none',
      response_format: { type: 'json_schema', json_schema: { name, schema: { $schema: 'http://json-schema.org/draft-07/schema#', type: 'object' } } }
    })
    expect(response.statusCode).toBe(200)
  })

  it.each([
    ['not JSON', '{"model": ', 'application/json', 400, 'invalid_json'],
    ['empty', '', 'application/json', 400, 'invalid_json'],
    ['a list', '[]', 'application/json', 400, 'invalid_value'],
    ['null', 'null', 'application/json', 400, 'invalid_value'],
    ['not UTF-8', Buffer.concat([Buffer.from('{"model": "'), Buffer.from([0xff]), Buffer.from('"}')]), 'application/json', 400, 'invalid_json'],
    ['poisoned', '{"__proto__": {"x": 1}}', 'application/json', 400, 'invalid_json'],
    ['poisoned deeper', '{"messages": [{"constructor": {"prototype": {"x": 1}}}]}', 'application/json', 400, 'invalid_json'],
    ['a text', JSON.stringify(hello), 'text/plain', 415, 'unsupported_media_type'],
    ['a form', 'model=x', 'application/x-www-form-urlencoded', 415, 'unsupported_media_type'],
    ['too large', JSON.stringify({ ...hello, user: 'x'.repeat(70_000) }), 'application/json', 413, 'body_too_large']
  ])('that is %s is refused', async (_name, body, type, status, code) => {
    const response = await post(body, { 'content-type': type })
    expect(response.json()).toMatchObject({ error: { code, param: null, type: 'invalid_request_error' } })
    expect(response.statusCode).toBe(status)
    expect(response.headers['x-request-id']).toMatch(/^req_[0-9a-f]{32}$/)
  })

  it('that is compressed is refused by name', async () => {
    const response = await post(gzipSync(JSON.stringify(hello)), { 'content-type': 'application/json', 'content-encoding': 'gzip' })
    expect(response.statusCode).toBe(415)
    expect(response.json()).toMatchObject({ error: { code: 'unsupported_media_type', message: 'The request body is encoded with gzip; send it as it is' } })
    expect((await post(JSON.stringify(hello), { 'content-type': 'application/json', 'content-encoding': 'identity' })).statusCode).toBe(200)
  })

  it('that has more to it than any request is refused before it is read', async () => {
    const large = await buildTestApp([createTestHost(inference)])
    const postLarge = async (payload: string) => await large.app.inject({ method: 'POST', url: '/v1/chat/completions', payload, headers: { 'content-type': 'application/json' } })
    expect((await postLarge('['.repeat(50_001))).json()).toMatchObject({ error: { code: 'invalid_value', message: 'The request body has more than 50000 members, objects and lists, or more than 1000000 items; these are the limits' } })
    expect((await postLarge(`{"tokens": [${'1,'.repeat(1_000_001)}1]}`)).json()).toMatchObject({ error: { code: 'invalid_value' } })
    expect((await postLarge(JSON.stringify({ ...hello, user: '["a":{'.repeat(100_000) }))).statusCode).toBe(200)
    await large.app.close()
  })

  it('names the body limit when it is too large', async () => {
    const response = await post(JSON.stringify({ ...hello, user: 'x'.repeat(70_000) }))
    expect(response.json<{ error: { message: string } }>().error.message).toContain('65536 bytes')
  })

  it('says where it is not JSON', async () => {
    const response = await post('{"model": "test-model",}')
    expect(response.json<{ error: { message: string } }>().error.message).toMatch(/^The request body is not valid JSON: .*(position 23|at line 1)/)
  })

  it('says which members are refused for poisoning', async () => {
    expect((await post('{"__proto__": 1}')).json<{ error: { message: string } }>().error.message).toContain('"__proto__"')
  })

  it('takes the last of two members of the same name, as JSON.parse does', async () => {
    const response = await post('{"model": "nobody", "model": "test-model", "messages": [{"role": "user", "content": "Hi"}]}')
    expect(response.statusCode).toBe(200)
  })
})

describe('OpenAI\'s parameters', () => {
  it('are all known, in code that fails to compile when its client learns another one', () => {
    type ChatNames = keyof OpenAI.Chat.ChatCompletionCreateParamsStreaming
    type ChatKnown = keyof typeof chatCompletionRequestSchema.shape | keyof typeof chatParameterPolicies
    type CompletionNames = keyof OpenAI.CompletionCreateParamsStreaming
    type CompletionKnown = keyof typeof completionRequestSchema.shape | keyof typeof completionParameterPolicies
    const missing: [Exclude<ChatNames, ChatKnown>, Exclude<CompletionNames, CompletionKnown>][] = []
    const nothing: [never, never][] = missing
    expect(nothing).toEqual([])
  })

  it('are all on the page that says what is compatible, and so is whatever else is read or has a policy', () => {
    const page = readFileSync(new URL('../../../docs/compatibility.md', import.meta.url), 'utf8')
    const sectionOf = (name: string): string => page.split('\n## ').find((section) => section.startsWith(name)) ?? ''
    const chat = sectionOf('OpenAI: chat completions')
    const completions = sectionOf('OpenAI: completions')
    const missingIn = (text: string, names: readonly string[]) => names.filter((name) => !text.includes(`\`${name}\``))
    const completionNames = [...Object.keys(completionRequestSchema.shape), ...Object.keys(completionParameterPolicies)]
    expect(missingIn(chat, [...Object.keys(chatCompletionRequestSchema.shape), ...Object.keys(chatParameterPolicies)])).toEqual([])
    expect(missingIn(chat + completions, completionNames)).toEqual([])
  })

  it('are either read or have a policy, never both', () => {
    for (const [schema, policies] of [[chatCompletionRequestSchema, chatParameterPolicies], [completionRequestSchema, completionParameterPolicies]] as const) {
      expect(Object.keys(schema.shape).filter((name) => Object.hasOwn(policies, name))).toEqual([])
    }
  })
})
