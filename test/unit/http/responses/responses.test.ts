import { afterEach, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import type { OpenAI } from 'openai'
import type { Config } from '../../../../src/config/config.ts'
import { ServerError } from '../../../../src/domain/errors.ts'
import type { ModelInfo } from '../../../../src/engine/engine.ts'
import type { GenerationRequest } from '../../../../src/inference/inference.ts'
import { answerEvents, createScriptedInference, type ScriptStep } from '../../../support/scripted-inference.ts'
import { buildTestApp } from '../../../support/test-app.ts'
import { createTestHost } from '../../../support/test-host.ts'

type Event = OpenAI.Responses.ResponseStreamEvent
type Body = OpenAI.Responses.Response

const apps: FastifyInstance[] = []
afterEach(async () => { for (const app of apps.splice(0)) await app.close() })

const chatTemplate = `{% for tool in tools or [] %}<tool_call>{{ tool.function.name }}{% endfor %}{% for m in messages %}<|{{ m.role }}|>{% if m.reasoning_content %}({{ m.reasoning_content }}){% endif %}{{ m.content }}
{%- for call in m.tool_calls or [] %}<tool_call>{{ call.function.name }}{{ call.function.arguments | tojson }}{% endfor %}{{ m.tool_call_id }}<|end|>{% endfor %}<|assistant|>{% if false %}<think>{% endif %}`

const tool = { type: 'function', name: 'get_weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } }

async function setUp (script: readonly ScriptStep[] | ((request: GenerationRequest) => readonly ScriptStep[]), options: { model?: Partial<ModelInfo>, config?: Partial<Config> } = {}) {
  const inference = createScriptedInference(typeof script === 'function' ? script : () => script, { model: { chatTemplate, ...options.model } })
  const { app, logText, log } = await buildTestApp([createTestHost(inference)], { randomSeed: () => 1, ...(options.config === undefined ? {} : { config: options.config }) })
  apps.push(app)
  const post = async (body: object, headers: Record<string, string> = {}) =>
    await app.inject({ method: 'POST', url: '/v1/responses', payload: { model: 'test-model', input: 'Hi', ...body }, headers })
  return {
    app,
    inference,
    logText,
    log,
    post,
    create: async (body: object = {}) => (await post(body)).json<Body>(),
    events: async (body: object = {}) => readEvents((await post({ stream: true, ...body })).body),
    /** The prompt of the last request as text. */
    prompt: () => {
      const { prompt } = inference.requests.at(-1)!
      return 'segments' in prompt ? prompt.segments.map(({ text }) => text).join('') : ''
    }
  }
}

/** The events of a stream; checks that each says its type twice. */
function readEvents (body: string): Event[] {
  return body.split('\n\n').filter((text) => text !== '' && !text.startsWith(':')).map((text) => {
    const [first, second] = text.split('\n')
    const event = JSON.parse(second!.slice('data: '.length)) as Event
    expect(first).toBe(`event: ${event.type}`)
    return event
  })
}

const pieces = (text: string, length = 3): string[] => text.match(new RegExp(`[^]{1,${length}}`, 'g')) ?? []
const answer = (text: string, options: Parameters<typeof answerEvents>[1] = {}) => answerEvents(pieces(text), options)
const call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>'

describe('a response in one piece', () => {
  it('has every member that OpenAI\'s has', async () => {
    const { create } = await setUp(answer('Hello'))
    expect(await create()).toEqual({
      id: expect.stringMatching(/^resp_[0-9a-f]{32}$/),
      object: 'response',
      created_at: expect.any(Number),
      status: 'completed',
      background: false,
      completed_at: expect.any(Number),
      error: null,
      incomplete_details: null,
      instructions: null,
      max_output_tokens: null,
      max_tool_calls: null,
      model: 'test-model',
      output: [{
        id: expect.stringMatching(/^msg_[0-9a-f]{32}$/),
        type: 'message',
        status: 'completed',
        role: 'assistant',
        content: [{ type: 'output_text', text: 'Hello', annotations: [], logprobs: [] }]
      }],
      parallel_tool_calls: true,
      previous_response_id: null,
      conversation: null,
      prompt: null,
      prompt_cache_key: null,
      prompt_cache_retention: null,
      reasoning: { effort: null, summary: null },
      safety_identifier: null,
      service_tier: 'default',
      store: true,
      temperature: 1,
      top_p: 1,
      presence_penalty: 0,
      frequency_penalty: 0,
      top_logprobs: 0,
      text: { format: { type: 'text' }, verbosity: 'medium' },
      tool_choice: 'auto',
      tools: [],
      truncation: 'disabled',
      usage: {
        input_tokens: 5,
        input_tokens_details: { cached_tokens: 2, cache_write_tokens: 0 },
        output_tokens: 2,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 7
      },
      user: null,
      metadata: {}
    })
  })

  it('gives back what was asked, and asks the model for it', async () => {
    const { create, inference } = await setUp(answer('Hello'))
    const asked = {
      instructions: 'Be brief.',
      max_output_tokens: 7,
      max_tool_calls: 3,
      metadata: { a: 'b' },
      parallel_tool_calls: false,
      prompt_cache_key: 'key',
      safety_identifier: 'who',
      temperature: 0.5,
      top_p: 0.9,
      service_tier: 'flex',
      tools: [{ ...tool, description: 'Weather' }],
      tool_choice: 'none',
      user: 'me',
      store: false
    }
    expect(await create({ ...asked, top_k: 3, seed: 9, truncation: 'disabled', include: ['file_search_call.results'] })).toMatchObject({ ...asked, tools: [{ ...tool, description: 'Weather', strict: false }] })
    expect(inference.requests[0]).toMatchObject({ maxTokens: 7, priority: 'batch', sampling: { temperature: 0.5, topP: 0.9, topK: 3, seed: 9, logprobs: null } })
  })

  it('is incomplete when a limit ended it', async () => {
    const { create } = await setUp(answer('Hello', { reason: 'length' }))
    expect(await create()).toMatchObject({ status: 'incomplete', incomplete_details: { reason: 'max_output_tokens' }, completed_at: null, output: [{ status: 'incomplete' }] })
  })

  it('has a message even where the model said nothing', async () => {
    const { create } = await setUp(answer(''))
    expect((await create()).output).toMatchObject([{ type: 'message', status: 'completed', content: [{ text: '' }] }])
  })

  it('has calls as items of their own, behind what was said before them', async () => {
    const { create } = await setUp(answer(`Let me see. ${call}`))
    const { output, status } = await create({ tools: [tool] })
    expect(status).toBe('completed')
    expect(output).toMatchObject([
      { type: 'message', content: [{ text: 'Let me see.' }] },
      { id: expect.stringMatching(/^fc_/), type: 'function_call', status: 'completed', call_id: expect.stringMatching(/^call_/), name: 'get_weather', arguments: '{"city": "Rome"}' }
    ])
  })

  it('tells log-probabilities where they are asked for', async () => {
    const { create, inference } = await setUp(answer('Hello', { withLogprobs: true }))
    const { output: [item] } = await create({ include: ['message.output_text.logprobs'], top_logprobs: 2 })
    expect(item).toMatchObject({ content: [{ logprobs: [{ token: 'Hel', logprob: -0.5, bytes: [72, 101, 108], top_logprobs: [{ token: 'Hel' }, { token: 'x', logprob: -9999 }] }, { token: 'lo' }] }] })
    expect(inference.requests[0]?.sampling.logprobs).toBe(2)
    await create({ include: ['message.output_text.logprobs'] })
    expect(inference.requests[1]?.sampling.logprobs).toBe(0)
  })
})

describe('what a response must be', () => {
  const tools = [tool, { ...tool, name: 'get_time', strict: true }]
  const grammarFor = async (body: object): Promise<string> => {
    const { create, inference } = await setUp(answer('Hello'))
    const { tool_choice: choice, text } = await create(body)
    expect({ tool_choice: choice, text }).toMatchObject(body)
    return inference.requests[0]?.sampling.grammar ?? ''
  }

  it.each<[string, object, boolean, boolean]>([
    ['a call of any tool', { tool_choice: 'required' }, true, true],
    ['a call of one', { tool_choice: { type: 'function', name: 'get_time' } }, false, true],
    ['a call of those that are allowed', { tool_choice: { type: 'allowed_tools', mode: 'required', tools: [{ type: 'function', name: 'get_weather' }] } }, true, false]
  ])('is held by a grammar: %s', async (_name, body, hasWeather, hasTime) => {
    const { create, inference } = await setUp(answer('Hello'))
    expect(await create({ tools, ...body })).toMatchObject(body)
    const { grammar } = inference.requests[0]!.sampling
    expect([grammar?.includes('get_weather'), grammar?.includes('get_time')]).toEqual([hasWeather, hasTime])
  })

  it('is held by a grammar: JSON', async () => {
    const format = { type: 'json_schema', name: 'city', schema: { type: 'object', properties: { town: { const: 'Bonn' } } }, strict: false }
    expect(await grammarFor({ text: { format: { ...format, description: null }, verbosity: 'medium' } })).toContain('Bonn')
    expect(await grammarFor({ text: { format: { type: 'json_object' } } })).not.toBe('')
    expect(await grammarFor({ text: { format: { type: 'text' } } })).toBe('')
  })
})

describe('reasoning', () => {
  it('is an item before the answer, and its tokens are counted', async () => {
    const { create } = await setUp(answer('<think>So so.</think>\n\nYes.'))
    const { output, usage } = await create()
    expect(output).toMatchObject([
      { id: expect.stringMatching(/^rs_/), type: 'reasoning', status: 'completed', summary: [], content: [{ type: 'reasoning_text', text: 'So so.' }], encrypted_content: null },
      { type: 'message', content: [{ text: 'Yes.' }] }
    ])
    expect(usage?.output_tokens_details.reasoning_tokens).toBeGreaterThan(0)
  })

  it('is in the summary where one is asked for, and in what clients send back', async () => {
    const { create, prompt } = await setUp(answer('<think>So so.</think>\n\nYes.'))
    const body = { reasoning: { summary: 'auto' }, include: ['reasoning.encrypted_content'], store: false }
    const { output, reasoning } = await create(body)
    expect(reasoning).toEqual({ effort: null, summary: 'auto' })
    expect(output[0]).toMatchObject({ summary: [{ type: 'summary_text', text: 'So so.' }], content: [], encrypted_content: expect.any(String) })
    const { encrypted_content: encrypted } = output[0] as OpenAI.Responses.ResponseReasoningItem
    await create({ input: [{ role: 'user', content: 'Q' }, { type: 'reasoning', summary: [], encrypted_content: encrypted }, output[1], { role: 'user', content: 'R' }] })
    expect(prompt()).toBe('<|user|>Q<|end|><|assistant|>(So so.)Yes.<|end|><|user|>R<|end|><|assistant|>')
  })
})

describe('the input of a response', () => {
  it('may be items in all their spellings', async () => {
    const { create, prompt } = await setUp(answer('Fine'))
    await create({
      instructions: 'Be brief.',
      tools: [tool],
      input: [
        { role: 'developer', content: 'Rules' },
        { role: 'user', content: [{ type: 'input_text', text: 'One' }, { type: 'input_text', text: 'Two' }] },
        { type: 'reasoning', id: 'rs_1', summary: [], content: [{ type: 'reasoning_text', text: 'Hm' }], encrypted_content: null, status: null },
        { type: 'message', role: 'assistant', id: 'msg_1', status: 'completed', phase: null, content: [{ type: 'output_text', text: 'Well', annotations: [], logprobs: [], parsed: null }] },
        { type: 'function_call', id: 'fc_1', call_id: 'c1', name: 'get_weather', arguments: '{"city":"Rome"}', status: 'completed', parsed_arguments: null },
        { type: 'function_call_output', call_id: 'c1', output: [{ type: 'input_text', text: 'sunny' }] },
        { role: 'assistant', content: 'Sunny.' },
        { type: 'message', role: 'user', content: 'Thanks' }
      ]
    })
    expect(prompt()).toBe('<tool_call>get_weather<|system|>Be brief.\n\nRules<|end|><|user|>One\nTwo<|end|><|assistant|>(Hm)Well<tool_call>get_weather{"city": "Rome"}<|end|><|tool|>sunnyc1<|end|><|assistant|>Sunny.<|end|><|user|>Thanks<|end|><|assistant|>')
  })

  it.each<[string, object, string, string]>([
    ['nothing', { input: [] }, 'missing_required_parameter', 'input'],
    ['no input at all', { input: null }, 'missing_required_parameter', 'input'],
    ['a number', { input: 3 }, 'invalid_value', 'input'],
    ['an image', { input: [{ role: 'user', content: [{ type: 'input_text', text: 'x' }, { type: 'input_image', image_url: 'x' }] }] }, 'unsupported_value', 'input[0].content[1]'],
    ['a file', { input: [{ role: 'user', content: [{ type: 'input_file', file_id: 'x' }] }] }, 'unsupported_value', 'input[0].content[0]'],
    ['an image as an output', { input: [{ type: 'function_call_output', call_id: 'c', output: [{ type: 'input_image' }] }] }, 'unsupported_value', 'input[0].output[0]'],
    ['a hosted item', { input: [{ type: 'web_search_call', id: 'ws_1' }] }, 'unsupported_value', 'input[0]'],
    ['an unknown role', { input: [{ role: 'robot', content: 'x' }] }, 'invalid_value', 'input[0].role'],
    ['a message without content', { input: [{ role: 'user' }] }, 'missing_required_parameter', 'input[0].content'],
    ['an unknown member', { input: [{ role: 'user', content: 'x', mood: 'good' }] }, 'unknown_parameter', 'input[0].mood'],
    ['output text of a user', { input: [{ role: 'user', content: [{ type: 'output_text', text: 'x' }] }] }, 'invalid_value', 'input[0].content[0].type'],
    ['an output without its call', { input: [{ role: 'user', content: 'x' }, { type: 'function_call_output', call_id: 'c', output: 'x' }] }, 'invalid_value', 'input[1].call_id'],
    ['a reference to nothing', { input: [{ type: 'item_reference', id: 'msg_x' }] }, 'item_not_found', 'input[0].id'],
    ['a bare reference to nothing', { input: [{ id: 'msg_x' }] }, 'item_not_found', 'input[0].id'],
    ['reasoning of another server', { input: [{ type: 'reasoning', summary: [], encrypted_content: 'gAAAA' }] }, 'invalid_value', 'input[0].encrypted_content'],
    ['more items than any conversation has', { input: Array(8193).fill(0) }, 'invalid_value', 'input'],
    ['more parts of a summary than one has', { input: [{ type: 'reasoning', summary: Array(16_385).fill(0) }] }, 'invalid_value', 'input'],
    ['a hosted tool', { tools: [tool, { type: 'web_search' }] }, 'unsupported_value', 'tools[1].type'],
    ['a custom tool', { tools: [{ type: 'custom', name: 'x' }] }, 'unsupported_value', 'tools[0].type'],
    ['a tool without a good name', { tools: [{ ...tool, name: 'not a name' }] }, 'invalid_value', 'tools[0].name'],
    ['two tools of one name', { tools: [tool, tool] }, 'invalid_value', 'tools[1].name'],
    ['a tool in the chat endpoint\'s form', { tools: [{ type: 'function', function: { name: 'x' } }] }, 'unknown_parameter', 'tools[0].function'],
    ['a choice of a hosted tool', { tool_choice: { type: 'file_search' } }, 'unsupported_value', 'tool_choice.type'],
    ['a choice of an unknown tool', { tools: [tool], tool_choice: { type: 'function', name: 'other' } }, 'invalid_value', 'tool_choice'],
    ['a choice without tools', { tool_choice: 'required' }, 'invalid_value', 'tool_choice'],
    ['a hosted tool among the allowed ones', { tools: [tool], tool_choice: { type: 'allowed_tools', mode: 'auto', tools: [{ type: 'mcp' }] } }, 'unsupported_value', 'tool_choice.tools[0].type'],
    ['truncation', { truncation: 'auto' }, 'unsupported_parameter', 'truncation'],
    ['a prompt template', { prompt: { id: 'x' } }, 'unsupported_parameter', 'prompt'],
    ['the chat endpoint\'s parameters', { max_tokens: 3 }, 'unsupported_parameter', 'max_tokens'],
    ['the chat endpoint\'s format', { response_format: { type: 'text' } }, 'unsupported_parameter', 'response_format'],
    ['several answers', { n: 2 }, 'unsupported_parameter', 'n'],
    ['verbosity', { text: { verbosity: 'low' } }, 'invalid_value', 'text.verbosity'],
    ['a format without schema', { text: { format: { type: 'json_schema', name: 'x' } } }, 'missing_required_parameter', 'text.format.schema'],
    ['a schema that cannot be held', { text: { format: { type: 'json_schema', name: 'x', schema: { not: {} } } } }, 'unsupported_value', 'text.format.schema.not'],
    ['a concise summary', { reasoning: { summary: 'concise' } }, 'invalid_value', 'reasoning.summary'],
    ['an effort that the template has no choice of', { reasoning: { effort: 'high' } }, 'unsupported_value', 'reasoning.effort'],
    ['no room at all', { max_output_tokens: 0 }, 'invalid_value', 'max_output_tokens'],
    ['too many alternatives', { top_logprobs: 21 }, 'invalid_value', 'top_logprobs'],
    ['more tokens at least than at most', { max_output_tokens: 3, min_tokens: 4 }, 'invalid_value', 'min_tokens'],
    ['an unknown inclusion', { include: ['everything'] }, 'invalid_value', 'include[0]'],
    ['stream options without a stream', { stream_options: {} }, 'invalid_value', 'stream_options'],
    ['obfuscation', { stream: true, stream_options: { include_obfuscation: true } }, 'invalid_value', 'stream_options.include_obfuscation'],
    ['a background response that is not stored', { background: true, store: false }, 'invalid_value', 'store'],
    ['an unknown response before', { previous_response_id: 'resp_x' }, 'previous_response_not_found', 'previous_response_id'],
    ['an unknown conversation', { conversation: 'conv_x' }, 'conversation_not_found', 'conversation'],
    ['both', { conversation: { id: 'conv_x' }, previous_response_id: 'resp_x' }, 'invalid_value', 'previous_response_id'],
    ['metadata that is too long', { metadata: { a: 'x'.repeat(513) } }, 'invalid_value', 'metadata.a'],
    ['a parameter that nobody knows', { nonsense: 1 }, 'unknown_parameter', 'nonsense'],
    ['an unknown adapter', { lora: [{ name: 'x' }] }, 'model_not_found', 'lora[0]'],
    ['an unknown model', { model: 'other' }, 'model_not_found', 'model']
  ])('is refused by its name: %s', async (_name, body, code, param) => {
    const { post, logText, inference } = await setUp(answer('Hello'))
    const response = await post(body)
    expect(response.json()).toMatchObject({ error: { code, param } })
    // Nor does the message speak of the chat endpoint's parameters, unless the client has.
    if (!Object.keys(body).includes(param)) expect(response.json<{ error: { message: string } }>().error.message).not.toMatch(/response_format|reasoning_effort|\]\.function\.|messages\[|completion_tokens/)
    expect(response.statusCode).toBe(code.endsWith('not_found') && code !== 'previous_response_not_found' ? 404 : 400)
    expect(inference.requests).toEqual([])
    expect(logText()).not.toContain('"level":"error"')
  })

  it('is what an error names that comes late', async () => {
    const error = new ServerError('context_length_exceeded', 'The prompt has 5000 tokens')
    const { post } = await setUp([{ type: 'throw', error }])
    for (const stream of [false, true]) {
      const response = await post({ stream })
      expect(response.statusCode).toBe(400)
      expect(response.json()).toMatchObject({ error: { code: 'context_length_exceeded', param: 'input' } })
    }
  })
})
