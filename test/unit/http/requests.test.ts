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
const tool = { type: 'function', function: { name: 'get_weather' } }
const callMessage = { role: 'assistant', content: null, tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'get_weather', arguments: '{}' } }] }
const nested = (depth: number): object => depth === 0 ? {} : { properties: nested(depth - 1) }
const post = async (payload: object | string, headers: Record<string, string> = { 'content-type': 'application/json' }) =>
  await app.inject({ method: 'POST', url: '/v1/chat/completions', payload, headers })

describe('a request body', () => {
  it.each([
    ['no model', { messages: hello.messages }, 'missing_required_parameter', 'model', 'Missing required parameter: \'model\''],
    ['a null model', { ...hello, model: null }, 'missing_required_parameter', 'model', ''],
    ['no messages', { model: 'test-model' }, 'missing_required_parameter', 'messages', ''],
    ['an empty list of messages', { ...hello, messages: [] }, 'invalid_value', 'messages', 'at least 1 members'],
    ['messages of another type', { ...hello, messages: 'Hi' }, 'invalid_value', 'messages', 'expected a list, but got "Hi"'],
    ['an unknown parameter', { ...hello, temprature: 1 }, 'unknown_parameter', 'temprature', 'Unknown parameter: \'temprature\''],
    ['an unknown parameter in the place of a known one', { ...hello, messages: undefined, mesages: [] }, 'unknown_parameter', 'mesages', ''],
    ['an unknown member of a message', { ...hello, messages: [{ role: 'user', content: 'x', foo: 1 }] }, 'unknown_parameter', 'messages[0].foo', ''],
    ['an unknown member of an object', { ...hello, stream: true, stream_options: { foo: 1 } }, 'unknown_parameter', 'stream_options.foo', ''],
    ['constructor as a parameter', { ...hello, constructor: 1 }, 'unknown_parameter', 'constructor', ''],
    ['an unknown role', { ...hello, messages: [{ role: 'robot', content: 'x' }] }, 'invalid_value', 'messages[0].role', '"robot"'],
    ['a message without a role', { ...hello, messages: [{ content: 'x' }] }, 'missing_required_parameter', 'messages[0].role', ''],
    ['a message without content', { ...hello, messages: [{ role: 'user' }] }, 'missing_required_parameter', 'messages[0].content', ''],
    ['content of another type', { ...hello, messages: [{ role: 'user', content: 5 }] }, 'invalid_value', 'messages[0].content', 'expected a string or a list of parts, but got 5'],
    ['an unknown content part', { ...hello, messages: [{ role: 'user', content: [{ type: 'smell' }] }] }, 'invalid_value', 'messages[0].content[0].type', ''],
    ['an image', { ...hello, messages: [{ role: 'system', content: 'x' }, { role: 'user', content: [{ type: 'text', text: 'x' }, { type: 'image_url', image_url: { url: 'data:' } }] }] }, 'unsupported_value', 'messages[1].content[1]', 'Images are not supported'],
    ['audio', { ...hello, messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }] }, 'unsupported_value', 'messages[0].content[0]', 'Audio is not supported'],
    ['a file', { ...hello, messages: [{ role: 'user', content: [{ type: 'file', file: {} }] }] }, 'unsupported_value', 'messages[0].content[0]', 'Files are not supported'],
    ['a result without a call', { ...hello, messages: [{ role: 'tool', content: 'x', tool_call_id: 'y' }] }, 'invalid_value', 'messages[0].tool_call_id', 'no assistant message before it'],
    ['a result for another call', { ...hello, messages: [callMessage, { role: 'tool', content: 'x', tool_call_id: 'y' }] }, 'invalid_value', 'messages[1].tool_call_id', ''],
    ['a result without its call\'s id', { ...hello, messages: [callMessage, { role: 'tool', content: 'x' }] }, 'missing_required_parameter', 'messages[1].tool_call_id', ''],
    ['a result without content', { ...hello, messages: [callMessage, { role: 'tool', tool_call_id: 'call_1' }] }, 'missing_required_parameter', 'messages[1].content', ''],
    ['a call without an id', { ...hello, messages: [{ role: 'assistant', content: null, tool_calls: [{}] }] }, 'missing_required_parameter', 'messages[0].tool_calls[0].id', ''],
    ['a call without a function', { ...hello, messages: [{ role: 'assistant', tool_calls: [{ id: 'x', type: 'function' }] }] }, 'missing_required_parameter', 'messages[0].tool_calls[0].function', ''],
    ['a call with an object for arguments', { ...hello, messages: [{ role: 'assistant', tool_calls: [{ id: 'x', type: 'function', function: { name: 'f', arguments: {} } }] }] }, 'invalid_value', 'messages[0].tool_calls[0].function.arguments', 'expected a string'],
    ['a call of a custom tool', { ...hello, messages: [{ role: 'assistant', tool_calls: [{ id: 'x', type: 'custom' }] }] }, 'invalid_value', 'messages[0].tool_calls[0].type', ''],
    ['a function\'s message', { ...hello, messages: [{ role: 'function', name: 'f', content: 'x' }] }, 'unsupported_value', 'messages[0].role', 'use the role "tool"'],
    ['a function call in a message', { ...hello, messages: [{ role: 'assistant', function_call: { name: 'f', arguments: '' } }] }, 'unsupported_value', 'messages[0].function_call', 'use "tool_calls"'],
    ['a temperature above the limit', { ...hello, temperature: 2.5 }, 'invalid_value', 'temperature', 'expected at most 2, but got 2.5'],
    ['a temperature below the limit', { ...hello, temperature: -1 }, 'invalid_value', 'temperature', 'expected at least 0, but got -1'],
    ['a temperature of another type', { ...hello, temperature: 'hot' }, 'invalid_value', 'temperature', 'expected a number, but got "hot"'],
    ['top_p above the limit', { ...hello, top_p: 1.1 }, 'invalid_value', 'top_p', 'at most 1'],
    ['a presence penalty above the limit', { ...hello, presence_penalty: 2.1 }, 'invalid_value', 'presence_penalty', 'at most 2'],
    ['a broken number of choices', { ...hello, n: 1.5 }, 'invalid_value', 'n', 'expected an integer'],
    ['too many choices', { ...hello, n: 33 }, 'invalid_value', 'n', 'expected at most 32, but got 33'],
    ['no tokens', { ...hello, max_tokens: 0 }, 'invalid_value', 'max_tokens', 'at least 1'],
    ['too many stop texts', { ...hello, stop: Array.from({ length: 17 }, () => 'x') }, 'invalid_value', 'stop', 'at most 16 members'],
    ['an empty stop text', { ...hello, stop: '' }, 'invalid_value', 'stop[0]', 'at least 1 characters'],
    ['more members than there are parameters', { ...hello, ...Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`member${index}`, 1])) }, 'invalid_value', null, 'has 602 members; the limit is 512'],
    ['more parts than one conversation has', { ...hello, messages: [{ role: 'user', content: Array.from({ length: 16_385 }, () => 0) }] }, 'invalid_value', 'messages', 'more than 16384 parts'],
    ['null in the place of content', { ...hello, messages: [{ role: 'user', content: null }] }, 'missing_required_parameter', 'messages[0].content', ''],
    ['logit_bias for too many tokens', { ...hello, logit_bias: Object.fromEntries(Array.from({ length: 1025 }, (_, token) => [token, 'x'])) }, 'invalid_value', 'logit_bias', 'at most 1024 tokens'],
    ['too much metadata', { ...hello, metadata: Object.fromEntries(Array.from({ length: 17 }, (_, index) => [index, ''])) }, 'unsupported_parameter', 'metadata', 'at most 16'],
    ['a broken seed', { ...hello, seed: 1.5 }, 'invalid_value', 'seed', 'expected an integer'],
    ['logit_bias of texts', { ...hello, logit_bias: { hello: 1 } }, 'invalid_value', 'logit_bias', 'numbers of tokens'],
    ['logit_bias above the limit', { ...hello, logit_bias: { 1: 101 } }, 'invalid_value', 'logit_bias.1', 'at most 100'],
    ['logit_bias of a token beyond the vocabulary', { ...hello, logit_bias: { 256: 1 } }, 'invalid_value', 'logit_bias', '0 to 255'],
    ['top_logprobs without logprobs', { ...hello, top_logprobs: 2 }, 'invalid_value', 'top_logprobs', ''],
    ['too many top_logprobs', { ...hello, logprobs: true, top_logprobs: 21 }, 'invalid_value', 'top_logprobs', 'at most 20'],
    ['stream_options without stream', { ...hello, stream_options: { include_usage: true } }, 'invalid_value', 'stream_options', ''],
    ['two repeat penalties', { ...hello, repeat_penalty: 1.1, repetition_penalty: 1.2 }, 'invalid_value', 'repetition_penalty', ''],
    ['min_tokens above max_tokens', { ...hello, min_tokens: 5, max_tokens: 4 }, 'invalid_value', 'min_tokens', ''],
    ['a tool without its function', { ...hello, tools: [{ type: 'function' }] }, 'missing_required_parameter', 'tools[0].function', ''],
    ['a tool without a type', { ...hello, tools: [{ function: { name: 'f' } }] }, 'missing_required_parameter', 'tools[0].type', ''],
    ['a tool without a name', { ...hello, tools: [{ type: 'function', function: {} }] }, 'missing_required_parameter', 'tools[0].function.name', ''],
    ['a tool\'s name with spaces', { ...hello, tools: [{ type: 'function', function: { name: 'get weather' } }] }, 'invalid_value', 'tools[0].function.name', 'letters, digits'],
    ['a tool\'s name that is too long', { ...hello, tools: [{ type: 'function', function: { name: 'x'.repeat(65) } }] }, 'invalid_value', 'tools[0].function.name', ''],
    ['two tools of one name', { ...hello, tools: [tool, tool] }, 'invalid_value', 'tools[1].function.name', '"get_weather"'],
    ['a schema that is none', { ...hello, tools: [{ type: 'function', function: { name: 'f', parameters: 'object' } }] }, 'invalid_value', 'tools[0].function.parameters', ''],
    ['a schema that is too deep', { ...hello, tools: [{ type: 'function', function: { name: 'f', parameters: nested(200) } }] }, 'invalid_value', 'tools[0].function.parameters', 'at most 128 levels'],
    ['an unknown member of a tool', { ...hello, tools: [{ ...tool, cache: true }] }, 'unknown_parameter', 'tools[0].cache', ''],
    ['a custom tool', { ...hello, tools: [{ type: 'custom', custom: { name: 'x' } }] }, 'unsupported_value', 'tools[0].type', '"custom"'],
    ['tools that are no list', { ...hello, tools: {} }, 'invalid_value', 'tools', 'expected a list'],
    ['too many tools', { ...hello, tools: Array.from({ length: 129 }, (_, index) => ({ type: 'function', function: { name: `f${index}` } })) }, 'invalid_value', 'tools', 'at most 128 members'],
    ['a strict tool whose schema cannot be held', { ...hello, tools: [{ type: 'function', function: { name: 'f', strict: true, parameters: { type: 'object', properties: { a: { not: { type: 'string' } } } } } }], tool_choice: 'required' }, 'unsupported_value', 'tools[0].function.parameters.properties.a.not', ''],
    ['a required tool without tools', { ...hello, tool_choice: 'required' }, 'invalid_value', 'tool_choice', 'needs \'tools\''],
    ['a named tool without tools', { ...hello, tool_choice: { type: 'function', function: { name: 'f' } } }, 'invalid_value', 'tool_choice', ''],
    ['a choice of a tool that is not there', { ...hello, tools: [tool], tool_choice: { type: 'function', function: { name: 'f' } } }, 'invalid_value', 'tool_choice', '"f" is none of the tools'],
    ['an allowed tool that is not there', { ...hello, tools: [tool], tool_choice: { type: 'allowed_tools', allowed_tools: { mode: 'auto', tools: [{ type: 'function', function: { name: 'f' } }] } } }, 'invalid_value', 'tool_choice', '"f"'],
    ['another choice of tools', { ...hello, tools: [tool], tool_choice: 'any' }, 'invalid_value', 'tool_choice', '"required"'],
    ['a choice of another type', { ...hello, tools: [tool], tool_choice: { type: 'custom' } }, 'invalid_value', 'tool_choice', ''],
    ['parallel calls of another type', { ...hello, tools: [tool], parallel_tool_calls: 'yes' }, 'invalid_value', 'parallel_tool_calls', 'true or false'],
    ['tools and a grammar', { ...hello, tools: [tool], grammar: 'root ::= "a"' }, 'unsupported_value', 'grammar', 'together with "tools"'],
    ['tools and a format', { ...hello, tools: [tool], response_format: { type: 'json_object' } }, 'unsupported_value', 'response_format', 'together with "tools"'],
    ['functions', { ...hello, functions: [{}] }, 'unsupported_parameter', 'functions', 'Use "tools"'],
    ['audio output', { ...hello, modalities: ['text', 'audio'] }, 'unsupported_parameter', 'modalities', ''],
    ['storing', { ...hello, store: true }, 'unsupported_parameter', 'store', ''],
    ['a prediction', { ...hello, prediction: { type: 'content', content: 'x' } }, 'unsupported_parameter', 'prediction', ''],
    ['web search', { ...hello, web_search_options: {} }, 'unsupported_parameter', 'web_search_options', ''],
    ['an unknown service tier', { ...hello, service_tier: 'gold' }, 'invalid_value', 'service_tier', '"flex"'],
    ['a service tier and a priority', { ...hello, service_tier: 'flex', priority: 1 }, 'invalid_value', 'priority', 'leave one of them out'],
    ['half a priority', { ...hello, priority: 0.5 }, 'invalid_value', 'priority', 'expected an integer'],
    ['an effort that the model does not know', { ...hello, reasoning_effort: 'high' }, 'unsupported_value', 'reasoning_effort', 'no choice'],
    ['an unknown effort', { ...hello, reasoning_effort: 'much' }, 'invalid_value', 'reasoning_effort', '"medium"'],
    ['another format of reasoning', { ...hello, reasoning_format: 'xml' }, 'invalid_value', 'reasoning_format', ''],
    ['a budget of reasoning', { ...hello, reasoning_budget: 100 }, 'unsupported_parameter', 'reasoning_budget', 'reasoning_effort'],
    ['a text for the template', { ...hello, chat_template_kwargs: { mood: '<|end|>' } }, 'invalid_value', 'chat_template_kwargs.mood', 'a word'],
    ['messages for the template', { ...hello, chat_template_kwargs: { messages: true } }, 'invalid_value', 'chat_template_kwargs', ''],
    ['stop tokens', { ...hello, stop_token_ids: [3] }, 'unsupported_parameter', 'stop_token_ids', ''],
    ['guided output', { ...hello, guided_json: {} }, 'unsupported_parameter', 'guided_json', 'structured_outputs'],
    ['adapters that are no list', { ...hello, lora: { id: 0 } }, 'invalid_value', 'lora', 'expected a list'],
    ['an adapter by name and number', { ...hello, lora: [{ id: 0, name: 'a' }] }, 'invalid_value', 'lora[0]', 'expected either "name" or "id"'],
    ['an adapter without either', { ...hello, lora: [{ scale: 1 }] }, 'invalid_value', 'lora[0]', 'expected either "name" or "id"'],
    ['an adapter of infinite strength', { ...hello, lora: [{ id: 0, scale: 1e9 }] }, 'invalid_value', 'lora[0].scale', 'expected at most 100']
  ])('with %s is refused by name', async (_name, body, code, param, message) => {
    const before = inference.requests.length
    const response = await post(body)
    expect(response.json()).toEqual({ error: { code, param, type: 'invalid_request_error', message: expect.stringContaining(message) } })
    expect(response.statusCode).toBe(400)
    expect(inference.requests).toHaveLength(before)
  })

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

  it('are either read or have a policy, never both', () => {
    for (const [schema, policies] of [[chatCompletionRequestSchema, chatParameterPolicies], [completionRequestSchema, completionParameterPolicies]] as const) {
      expect(Object.keys(schema.shape).filter((name) => Object.hasOwn(policies, name))).toEqual([])
    }
  })
})
