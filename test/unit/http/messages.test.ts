import type { Anthropic } from '@anthropic-ai/sdk'
import type { FastifyInstance } from 'fastify'
import { afterEach, describe, expect, it } from 'vitest'
import { ServerError } from '../../../src/domain/errors.ts'
import type { ModelInfo } from '../../../src/engine/engine.ts'
import { answerEvents, createScriptedInference, type ScriptStep } from '../../support/scripted-inference.ts'
import { readNamedSse } from '../../support/sse.ts'
import { buildTestApp, listen, type TestAppOptions } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const apps: FastifyInstance[] = []
afterEach(async () => { for (const app of apps.splice(0)) await app.close() })

const chatTemplate = `{% for tool in tools or [] %}<tool_call>{{ tool.function.name }}{% endfor %}{% for m in messages %}<|{{ m.role }}|>
{%- if m.reasoning_content %}<think>{{ m.reasoning_content }}</think>{% endif %}{{ m.content }}
{%- for call in m.tool_calls or [] %}<tool_call>{{ call.function.name }}{{ call.function.arguments | tojson }}{% endfor %}{{ m.tool_call_id }}<|end|>{% endfor %}
{%- if add_generation_prompt %}<|assistant|>{% endif %}{% if enable_thinking is defined %}[{{ enable_thinking }}]{% endif %}`
const hello = { model: 'test-model', max_tokens: 100, messages: [{ role: 'user', content: 'Hi' }] }
const tools = ['get_weather', 'get_time'].map((name) => ({ name, input_schema: { type: 'object', properties: { city: { type: 'string' } } } }))
const twoCalls = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>\n<tool_call>\n{"name": "get_time", "arguments": {}}\n</tool_call>'
const pieces = (text: string, length = 3): string[] => text.match(new RegExp(`[^]{1,${length}}`, 'g')) ?? []
const toolUseId = expect.stringMatching(/^toolu_[0-9a-f]{24}$/)
const signature = expect.stringMatching(/^[\w+/]{43}=$/)

async function setUp (script: readonly ScriptStep[] = answerEvents(['Hel', 'lo']), { model = {}, ...options }: TestAppOptions & { model?: Partial<ModelInfo> } = {}) {
  const inference = createScriptedInference(() => script, { model: { chatTemplate, ...model } })
  const { app, logText } = await buildTestApp([createTestHost(inference)], { randomSeed: () => 1, ...options })
  apps.push(app)
  const post = async (changes: object = {}, url = '/v1/messages') => await app.inject({ method: 'POST', url, payload: { ...hello, ...changes } })
  return {
    app,
    inference,
    logText,
    post,
    message: async (changes: object = {}) => (await post(changes)).json<Anthropic.Message>(),
    events: async (changes: object = {}) => readNamedSse((await post({ stream: true, ...changes })).body) as Anthropic.RawMessageStreamEvent[],
    errorOf: async (changes: object, url?: string) => {
      const response = await post(changes, url)
      const { error } = response.json<{ error: { type: string, message: string } }>()
      return { status: response.statusCode, ...error }
    },
    promptOf: async (changes: object) => {
      const response = await post(changes)
      expect(response.json()).toMatchObject({ type: 'message' })
      const prompt = inference.requests.at(-1)?.prompt
      return prompt !== undefined && 'segments' in prompt ? prompt.segments.map(({ text }) => text).join('') : null
    }
  }
}

/** A stream that has begun and goes on when it is told to. */
async function setUpPaused (script: (until: Promise<unknown>) => readonly ScriptStep[]) {
  let proceed = (): void => {}
  const { app } = await setUp(script(new Promise<void>((resolve) => { proceed = resolve })), { config: { keepAliveMs: 5 } })
  const { origin } = await listen(app)
  const response = await fetch(`${origin}/v1/messages`, {
    method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...hello, stream: true })
  })
  return { response, proceed }
}

describe('a message in one piece', () => {
  it('has Anthropic\'s shape', async () => {
    const { post, inference } = await setUp()
    const response = await post()
    expect(response.statusCode).toBe(200)
    expect(response.headers['request-id']).toMatch(/^req_/)
    expect(response.headers['request-id']).toBe(response.headers['x-request-id'])
    expect(response.json()).toEqual({
      id: expect.stringMatching(/^msg_[0-9a-f]{32}$/),
      type: 'message',
      role: 'assistant',
      model: 'test-model',
      content: [{ type: 'text', text: 'Hello', citations: null }],
      stop_reason: 'end_turn',
      stop_sequence: null,
      stop_details: null,
      container: null,
      diagnostics: null,
      usage: {
        input_tokens: 3,
        cache_creation_input_tokens: 0,
        cache_read_input_tokens: 2,
        cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
        output_tokens: 2,
        output_tokens_details: { thinking_tokens: 0 },
        server_tool_use: null,
        inference_geo: null,
        service_tier: 'standard',
        speed: 'standard'
      }
    })
    expect(inference.requests[0]?.id).toBe(response.json<Anthropic.Message>().id)
  })

  it('passes every option on', async () => {
    const { post, inference } = await setUp()
    await post({ temperature: 0.5, top_p: 0.9, top_k: 7, stop_sequences: ['a', 'b'], metadata: { user_id: 'u' }, service_tier: 'standard_only', cache_control: { type: 'ephemeral' }, speed: 'standard' })
    expect(inference.requests[0]).toMatchObject({
      maxTokens: 100, stop: ['a', 'b'], choices: 1, priority: 'normal', sampling: { temperature: 0.5, topP: 0.9, topK: 7, logprobs: null, grammar: null }
    })
  })

  it('has its calls as blocks', async () => {
    const { message } = await setUp(answerEvents(pieces(`I look.\n${twoCalls}`)))
    expect(await message({ tools })).toMatchObject({
      content: [
        { type: 'text', text: 'I look.' },
        { type: 'tool_use', id: toolUseId, name: 'get_weather', input: { city: 'Rome' }, caller: { type: 'direct' } },
        { type: 'tool_use', id: toolUseId, name: 'get_time', input: {} }
      ],
      stop_reason: 'tool_use'
    })
  })

  it('has a call\'s input as text where a limit broke it off', async () => {
    const { message } = await setUp(answerEvents(pieces(twoCalls.slice(0, 60)), { reason: 'length' }))
    expect(await message({ tools, max_tokens: 20 })).toMatchObject({ content: [{ type: 'tool_use', input: '{"city": "R' }], stop_reason: 'max_tokens' })
  })

  it('has its thinking in a block with a signature', async () => {
    const { message } = await setUp(answerEvents(pieces('<think>\nA greeting.\n</think>\n\nHello!')))
    const { content, usage } = await message()
    expect(content).toEqual([{ type: 'thinking', thinking: 'A greeting.', signature }, { type: 'text', text: 'Hello!', citations: null }])
    expect(usage.output_tokens_details?.thinking_tokens).toBeGreaterThan(4)
    const { content: omitted } = await message({ thinking: { type: 'adaptive', display: 'omitted' } })
    expect(omitted).toEqual([{ ...content[0], thinking: '' }, content[1]])
  })

  it('says why it ended', async () => {
    const ended = async (reason: 'stop' | 'length', stopText: string | null, text = 'x', changes = {}) => {
      const script = answerEvents(pieces(text, 30), { reason }).map((event) => event.type === 'choice-finished' ? { ...event, stopText } : event)
      const { message } = await setUp(script)
      const { stop_reason: why, stop_sequence: sequence } = await message(changes)
      return [why, sequence]
    }
    expect(await ended('stop', null)).toEqual(['end_turn', null])
    expect(await ended('stop', '###')).toEqual(['stop_sequence', '###'])
    expect(await ended('length', null, 'x', { max_tokens: 1 })).toEqual(['max_tokens', null])
    expect(await ended('length', null)).toEqual(['model_context_window_exceeded', null])
    expect(await ended('stop', null, twoCalls, { tools })).toEqual(['tool_use', null])
    expect(await ended('stop', '}', twoCalls.slice(0, 60), { tools })).toEqual(['stop_sequence', '}'])
  })

  it.each([false, true])('names the limit of the model where that is less than the request\'s (stream: %s)', async (stream) => {
    const inference = createScriptedInference(() => answerEvents(['x', 'y'], { reason: 'length' }))
    const { app } = await buildTestApp([{ ...createTestHost(inference), answerLength: { byDefault: 'off', atMost: 2 } }])
    apps.push(app)
    const { body } = await app.inject({ method: 'POST', url: '/v1/messages', payload: { ...hello, stream } })
    expect(body).toContain('"stop_reason":"max_tokens"')
  })

  it('has no blocks where there is nothing', async () => {
    const { message } = await setUp(answerEvents([]))
    expect(await message()).toMatchObject({ content: [], stop_reason: 'end_turn' })
  })
})

describe('a streamed message', () => {
  it('has Anthropic\'s events in their order', async () => {
    const { post, events, message } = await setUp()
    expect((await post({ stream: true })).body).toMatch(/^event: message_start\ndata: \{"type":"message_start".*\}\n\nevent: content_block_start\n/)
    const whole = await message()
    expect(await events()).toEqual([
      { type: 'message_start', message: { ...whole, id: expect.stringMatching(/^msg_/), content: [], stop_reason: null, usage: { ...whole.usage, output_tokens: 0 } } },
      { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '', citations: null } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'Hel' } },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'lo' } },
      { type: 'content_block_stop', index: 0 },
      {
        type: 'message_delta',
        delta: { stop_reason: 'end_turn', stop_sequence: null, stop_details: null, container: null },
        usage: { input_tokens: 3, cache_creation_input_tokens: 0, cache_read_input_tokens: 2, output_tokens: 2, output_tokens_details: { thinking_tokens: 0 }, server_tool_use: null }
      },
      { type: 'message_stop' }
    ])
  })

  it('has a block after the other: thinking, text and calls', async () => {
    const { events } = await setUp(answerEvents(pieces(`<think>Hm.</think>I look.\n${twoCalls}`, 5)))
    const all = await events({ tools })
    expect(all.filter((event) => event.type === 'content_block_start')).toEqual([
      { type: 'content_block_start', index: 0, content_block: { type: 'thinking', thinking: '', signature: '' } },
      { type: 'content_block_start', index: 1, content_block: { type: 'text', text: '', citations: null } },
      { type: 'content_block_start', index: 2, content_block: { type: 'tool_use', id: toolUseId, name: 'get_weather', input: {}, caller: { type: 'direct' } } },
      { type: 'content_block_start', index: 3, content_block: { type: 'tool_use', id: toolUseId, name: 'get_time', input: {}, caller: { type: 'direct' } } }
    ])
    // Every event of a block comes between its start and its stop, and the signature last.
    let open: number | null = null
    const texts = ['', '', '', '']
    const kinds: string[][] = [[], [], [], []]
    for (const event of all.slice(1, -2)) {
      if (event.type === 'content_block_start') {
        expect(open).toBe(null)
        open = event.index
      } else if (event.type === 'content_block_stop') {
        expect(open).toBe(event.index)
        open = null
      } else if (event.type === 'content_block_delta') {
        expect(open).toBe(event.index)
        const { delta } = event
        kinds[event.index]?.push(delta.type)
        texts[event.index] += 'text' in delta ? delta.text : 'thinking' in delta ? delta.thinking : 'partial_json' in delta ? delta.partial_json : ''
        if (delta.type === 'signature_delta') expect(delta.signature).toEqual(signature)
      }
    }
    expect(open).toBe(null)
    expect(texts).toEqual(['Hm.', 'I look.', '{"city": "Rome"}', '{}'])
    expect(kinds.map((each) => [...new Set(each)])).toEqual([['thinking_delta', 'signature_delta'], ['text_delta'], ['input_json_delta'], ['input_json_delta']])
    expect(kinds[2]?.length).toBeGreaterThan(1)
    expect(all.at(-2)).toMatchObject({ type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: { output_tokens_details: { thinking_tokens: expect.any(Number) } } })
  })

  it('tells no thinking that is to be omitted, but its signature', async () => {
    const { events } = await setUp(answerEvents(pieces('<think>Hm.</think>Yes.')))
    const deltas = (await events({ thinking: { type: 'adaptive', display: 'omitted' } })).flatMap((event) => event.type === 'content_block_delta' ? [event.delta] : [])
    expect(deltas[0]).toEqual({ type: 'signature_delta', signature })
    expect(deltas.some(({ type }) => type === 'thinking_delta')).toBe(false)
  })

  it('begins and ends even where there is nothing between', async () => {
    const { events } = await setUp(answerEvents([]))
    expect((await events()).map(({ type }) => type)).toEqual(['message_start', 'message_delta', 'message_stop'])
  })

  it('pings while there is nothing to say', async () => {
    const [accepted, started, ...rest] = answerEvents(['x'])
    const { response, proceed } = await setUpPaused((until) => [accepted!, started!, { type: 'wait', until }, ...rest])
    proceed()
    const body = await response.text()
    expect(body).toMatch(/^(event: ping\ndata: \{"type":"ping"\}\n\n)+event: message_start\n/)
    expect(readNamedSse(body).at(-1)).toEqual({ type: 'message_stop' })
  })

  it('has its true status where it fails before the first text', async () => {
    const { errorOf } = await setUp([...answerEvents([]).slice(0, 2), { type: 'throw', error: new ServerError('engine_crashed', 'The engine died') }])
    expect(await errorOf({ stream: true })).toEqual({ status: 500, type: 'api_error', message: 'The engine died' })
  })

  it('tells a later error as an event, and does not stop as a whole one does', async () => {
    const { response, proceed } = await setUpPaused((until) => [
      ...answerEvents(['x']).slice(0, 3), { type: 'wait', until }, { type: 'throw', error: new ServerError('engine_crashed', 'The engine died') }
    ])
    expect(response.status).toBe(200)
    proceed()
    const body = await response.text()
    expect(readNamedSse(body).at(-1)).toEqual({
      type: 'error', error: { type: 'api_error', message: 'The engine died' }, request_id: response.headers.get('request-id')
    })
    expect(body).not.toContain('message_stop')
  })
})

describe('a conversation', () => {
  it('is a chat with a system message, results before what is said beside them, and one turn after the other', async () => {
    const { promptOf } = await setUp()
    expect(await promptOf({
      system: [{ type: 'text', text: 'Be kind.', cache_control: { type: 'ephemeral', ttl: '1h' } }, { type: 'text', text: 'Be brief.' }],
      tools,
      messages: [
        { role: 'user', content: 'Rain?' },
        { role: 'user', content: [{ type: 'text', text: 'Sun?', cache_control: { type: 'ephemeral' } }] },
        {
          role: 'assistant',
          content: [
            { type: 'thinking', thinking: 'Hm.', signature: 'x' },
            { type: 'redacted_thinking', data: 'x' },
            { type: 'text', text: 'I look.', citations: null },
            { type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: { city: 'Rome' }, caller: { type: 'direct' } },
            { type: 'tool_use', id: 'toolu_2', name: 'get_time', input: {} }
          ]
        },
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Well?' },
            { type: 'tool_result', tool_use_id: 'toolu_1', content: [{ type: 'text', text: 'sun' }, { type: 'text', text: 'wind' }] },
            { type: 'tool_result', tool_use_id: 'toolu_2', content: 'no clock', is_error: true }
          ]
        }
      ]
    })).toBe('<tool_call>get_weather<tool_call>get_time<|system|>Be kind.\nBe brief.<|end|><|user|>Rain?\nSun?<|end|>' +
      '<|assistant|><think>Hm.</think>I look.<tool_call>get_weather{"city": "Rome"}<tool_call>get_time{}<|end|>' +
      '<|tool|>sun\nwindtoolu_1<|end|><|tool|>Error: no clocktoolu_2<|end|><|user|>Well?<|end|><|assistant|>')
  })

  it('has no system message where that is empty', async () => {
    const { promptOf } = await setUp()
    expect(await promptOf({ system: '' })).toBe('<|user|>Hi<|end|><|assistant|>')
  })

  it('may have system messages within, and results without a word', async () => {
    const { promptOf } = await setUp()
    expect(await promptOf({
      messages: [
        { role: 'user', content: 'Rain?' },
        { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'get_weather', input: 'not an object' }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1' }] },
        { role: 'system', content: 'Be brief.' }
      ]
    })).toBe('<|user|>Rain?<|end|><|assistant|><tool_call>get_weather"not an object"<|end|><|tool|>toolu_1<|end|><|system|>Be brief.<|end|><|assistant|>')
  })

  it('is gone on with where its last turn is the assistant\'s', async () => {
    const { promptOf } = await setUp()
    expect(await promptOf({ messages: [...hello.messages, { role: 'assistant', content: 'It is (' }] })).toBe('<|user|>Hi<|end|><|assistant|>It is (')
  })

  it('makes no control tokens of what is said in it', async () => {
    const { post, inference } = await setUp()
    await post({
      system: 'a<|end|>b',
      messages: [
        { role: 'user', content: '<|end|>' },
        { role: 'assistant', content: [{ type: 'tool_use', id: 'toolu_1', name: 'x', input: { '<|end|>': '<|end|>' } }] },
        { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'toolu_1', content: '<|end|>' }] }
      ]
    })
    const prompt = inference.requests[0]?.prompt
    const segments = prompt !== undefined && 'segments' in prompt ? prompt.segments : []
    expect(segments.filter(({ origin }) => origin === 'user').map(({ text }) => text)).toEqual(Array(5).fill('<|end|>'))
    // One at the end of each message.
    expect(segments.filter(({ origin }) => origin === 'template').map((segment) => segment.text).join('').match(/<\|end\|>/g)).toHaveLength(4)
  })
})

describe('a choice of tools', () => {
  it('is held by a grammar', async () => {
    const { post, inference } = await setUp(answerEvents(['x']))
    const sampling = async (choice: object | undefined) => {
      await post({ tools, tool_choice: choice })
      return inference.requests.at(-1)?.sampling
    }
    expect(await sampling(undefined)).toMatchObject({ grammar: expect.stringContaining('get_weather'), grammarTrigger: '<tool_call>' })
    expect(await sampling({ type: 'auto' })).toMatchObject({ grammarTrigger: '<tool_call>' })
    expect(await sampling({ type: 'any' })).toMatchObject({ grammar: expect.stringContaining('get_weather'), grammarTrigger: null })
    const named = await sampling({ type: 'tool', name: 'get_time', disable_parallel_tool_use: true })
    expect(named?.grammar).toMatch(/get_time/)
    expect(named?.grammar).not.toMatch(/get_weather/)
    expect(await sampling({ type: 'none' })).toMatchObject({ grammar: null, grammarTrigger: null })
  })

  it('has one call at most where the client wants no more', async () => {
    const { message } = await setUp(answerEvents(pieces(twoCalls)))
    expect((await message({ tools, tool_choice: { type: 'auto', disable_parallel_tool_use: true } })).content).toHaveLength(1)
    expect((await message({ tools })).content).toHaveLength(2)
  })
})

describe('an output format', () => {
  it('is held by a grammar, under either name', async () => {
    const { post, inference } = await setUp()
    const format = { type: 'json_schema', schema: { type: 'object', properties: { city: { const: 'Rome' } }, required: ['city'], additionalProperties: false } }
    await post({ output_config: { format } })
    await post({ output_format: format })
    expect(inference.requests.map(({ sampling }) => sampling.grammar)).toEqual([expect.stringContaining('Rome'), inference.requests[0]?.sampling.grammar])
  })
})

describe('thinking', () => {
  const thinks = (budget: number) => ({ max_tokens: 50_000, thinking: { type: 'enabled', budget_tokens: budget } })
  const off = { thinking: { type: 'disabled' } }
  const effort = (level: string) => ({ output_config: { effort: level } })

  it('is switched where the template has a switch', async () => {
    const { promptOf } = await setUp()
    expect(await promptOf({})).toMatch(/<\|assistant\|>$/)
    expect(await promptOf({ thinking: { type: 'adaptive' } })).toMatch(/<\|assistant\|>$/)
    expect(await promptOf(thinks(1024))).toMatch(/\[True\]$|\[true\]$/)
    expect(await promptOf(effort('low'))).toMatch(/\[True\]$|\[true\]$/)
    expect(await promptOf(off)).toMatch(/\[False\]$|\[false\]$/)
    expect(await promptOf({ ...off, ...effort('low') })).toMatch(/\[False\]$|\[false\]$/)
  })

  it('has a level where the template has levels: the effort, or one by the budget', async () => {
    const leveled = '{% for m in messages %}{{ m.content }}{% endfor %}{{ reasoning_effort }}<|channel|>analysis<|message|>'
    const { promptOf, errorOf } = await setUp(undefined, { model: { chatTemplate: leveled } })
    const levelOf = async (changes: object) => /^Hi(\w*)</.exec(await promptOf(changes) ?? '')?.[1]
    expect(await Promise.all([levelOf(thinks(4096)), levelOf(thinks(10_000)), levelOf(thinks(30_000)), levelOf({ ...thinks(4096), ...effort('high') }), levelOf(effort('medium')), levelOf({})]))
      .toEqual(['low', 'medium', 'high', 'high', 'medium', ''])
    expect(await errorOf(effort('max'))).toMatchObject({ status: 400, message: expect.stringMatching(/^output_config\.effort: /) })
    expect(await errorOf(off)).toMatchObject({ status: 400, message: expect.stringMatching(/^thinking: /) })
  })

  it('has no more tokens than its budget', async () => {
    const { post, inference } = await setUp()
    await post(thinks(1024))
    await post({ ...thinks(49_999), ...effort('low') })
    for (const unlimited of [{}, off, { thinking: { type: 'adaptive' } }, effort('low')]) await post(unlimited)
    const limited = { open: '<think>', close: '</think>' }
    expect(inference.requests.map(({ sampling }) => sampling.reasoningLimit))
      .toEqual([{ ...limited, tokens: 1024 }, { ...limited, tokens: 49_999 }, null, null, null, null])
  })

  it('has no limit in a format with reasoning of its own, which is no reason to refuse it', async () => {
    const harmony = '{% for m in messages %}{{ m.content }}{% endfor %}{{ reasoning_effort }}<|channel|>analysis<|message|>'
    const { post, inference, app } = await setUp(undefined, { model: { chatTemplate: harmony } })
    expect((await post(thinks(1024))).statusCode).toBe(200)
    expect(inference.requests[0]?.sampling.reasoningLimit).toBe(null)
    const { max_tokens: _, ...counted } = { ...hello, ...thinks(1024) }
    expect((await app.inject({ method: 'POST', url: '/v1/messages/count_tokens', payload: counted })).statusCode).toBe(200)
  })

  it('is what a model does anyway, or cannot', async () => {
    const always = await setUp(undefined, { model: { chatTemplate: '{% for m in messages %}{{ m.content }}{% endfor %}<think>' } })
    expect(await always.promptOf(thinks(2048))).toBe('Hi<think>')
    expect(await always.promptOf(effort('high'))).toBe('Hi<think>')
    expect(await always.errorOf(off)).toMatchObject({ status: 400, message: expect.stringMatching(/^thinking: /) })
    const never = await setUp(undefined, { model: { chatTemplate: '{% for m in messages %}{{ m.content }}{% endfor %}' } })
    expect(await never.promptOf(off)).toBe('Hi')
    expect(await never.promptOf(effort('high'))).toBe('Hi')
    expect(await never.errorOf(thinks(2048))).toMatchObject({ status: 400, message: expect.stringMatching(/^This model.*"thinking"/) })
    expect(await never.errorOf(effort('low'))).toMatchObject({ status: 400, message: expect.stringMatching(/^output_config\.effort: /) })
  })
})

describe('counting a message\'s tokens', () => {
  it('counts what the model would read', async () => {
    const { app, promptOf } = await setUp()
    const { max_tokens: _, ...body } = { ...hello, system: 'Be kind.', tools, tool_choice: { type: 'any' } }
    const response = await app.inject({ method: 'POST', url: '/v1/messages/count_tokens', payload: body })
    expect(response.json()).toEqual({ input_tokens: (await promptOf(body))!.length + 1 })
  })

  it('refuses what creating would', async () => {
    const { errorOf } = await setUp()
    const url = '/v1/messages/count_tokens'
    expect(await errorOf({ max_tokens: undefined, messages: [] }, url)).toMatchObject({ status: 400, message: expect.stringContaining('messages') })
    expect(await errorOf({ max_tokens: undefined, thinking: { type: 'enabled', budget_tokens: 1 } }, url)).toMatchObject({ status: 400, message: expect.stringContaining('thinking.budget_tokens') })
    expect(await errorOf({}, url)).toMatchObject({ status: 400, message: expect.stringContaining('max_tokens') })
    expect(await errorOf({ max_tokens: undefined, model: 'nobody' }, url)).toMatchObject({ status: 404, type: 'not_found_error' })
  })
})

const text = (content: unknown) => ({ messages: [{ role: 'user', content }] })
const said = (content: unknown) => ({ messages: [...hello.messages, { role: 'assistant', content }, ...hello.messages] })
const begun = { messages: [...hello.messages, { role: 'assistant', content: 'It' }] }
const offering = (changes: object) => ({ tools: [{ ...tools[0], ...changes }] })

describe('what a message request gets wrong', () => {
  it.each([
    ['no model', { model: undefined }, 'model'],
    ['no limit', { max_tokens: undefined }, 'max_tokens'],
    ['a limit of nothing', { max_tokens: 0 }, 'max_tokens'],
    ['no messages', { messages: undefined }, 'messages'],
    ['an empty list of messages', { messages: [] }, 'messages'],
    ['another role', { messages: [{ role: 'tool', content: 'x' }] }, 'messages[0].role'],
    ['content that is none', text(7), 'messages[0].content'],
    ['a block of a type that nobody knows', text([{ type: 'smell' }]), 'messages[0].content[0].type'],
    ['a block without its text', text([{ type: 'text' }]), 'messages[0].content[0].text'],
    ['a member that nobody knows', { nonsense: 1 }, 'nonsense'],
    ['a member of a block that nobody knows', text([{ type: 'text', text: 'x', nonsense: 1 }]), 'messages[0].content[0].nonsense'],
    ['an image', text([{ type: 'image', source: {} }]), 'messages[0].content[0]'],
    ['a document', text([{ type: 'text', text: 'x' }, { type: 'document', source: {} }]), 'messages[0].content[1]'],
    ['an image in a result', text([{ type: 'tool_result', tool_use_id: 'x', content: [{ type: 'image' }] }]), 'messages[0].content[0].content[0]'],
    ['a search result', text([{ type: 'search_result' }]), 'messages[0].content[0]'],
    ['a server\'s tool use', said([{ type: 'server_tool_use' }]), 'messages[1].content[0]'],
    ['citations', text([{ type: 'text', text: 'x', citations: [{}] }]), 'messages[0].content[0].citations'],
    ['a tool use of the user\'s', text([{ type: 'tool_use', id: 'x', name: 'x', input: {} }]), 'messages[0].content[0].type'],
    ['a result of the assistant\'s', said([{ type: 'tool_result', tool_use_id: 'x' }]), 'messages[1].content[0].type'],
    ['a result without a call', text([{ type: 'tool_result', tool_use_id: 'x' }]), 'messages[0].content[0].tool_use_id'],
    ['an input that is no object', said([{ type: 'tool_use', id: 'x', name: 'x', input: 7 }]), 'messages[1].content[0].input'],
    ['a call by another caller', said([{ type: 'tool_use', id: 'x', name: 'x', input: {}, caller: { type: 'code_execution_20260120' } }]), 'messages[1].content[0].caller.type'],
    ['calls at the end', { messages: [...hello.messages, { role: 'assistant', content: [{ type: 'tool_use', id: 'x', name: 'x', input: {} }] }] }, 'messages[1]'],
    ['a system prompt that is none', { system: 7 }, 'system'],
    ['an image in the system prompt', { system: [{ type: 'image' }] }, 'system[0]'],
    ['too many blocks', text(Array.from({ length: 16_385 }, () => ({ type: 'text', text: '' }))), 'messages'],
    ['too much temperature', { temperature: 1.5 }, 'temperature'],
    ['a negative top_k', { top_k: -1 }, 'top_k'],
    ['too much top_p', { top_p: 2 }, 'top_p'],
    ['an empty stop text', { stop_sequences: [''] }, 'stop_sequences[0]'],
    ['a stop text that is no list', { stop_sequences: 'x' }, 'stop_sequences'],
    ['another tier', { service_tier: 'flex' }, 'service_tier'],
    ['more metadata', { metadata: { name: 'x' } }, 'metadata.name'],
    ['a server\'s tool', { tools: [{ type: 'web_search_20250305', name: 'web_search' }] }, 'tools[0].type'],
    ['a tool without a schema', { tools: [{ name: 'x' }] }, 'tools[0].input_schema'],
    ['a tool\'s name that is none', offering({ name: 'a b' }), 'tools[0].name'],
    ['a tool that is there twice', { tools: [tools[0], tools[0]] }, 'tools[1].name'],
    ['a tool for later', offering({ defer_loading: true }), 'tools[0].defer_loading'],
    ['a tool for code', offering({ allowed_callers: ['code_execution_20260120'] }), 'tools[0].allowed_callers[0]'],
    ['examples of inputs', offering({ input_examples: [{}] }), 'tools[0].input_examples'],
    ['a strict tool with a schema that no grammar holds', offering({ strict: true, input_schema: { type: 'object', not: {} } }), 'tools[0].input_schema'],
    ['a choice without tools', { tool_choice: { type: 'any' } }, 'tool_choice'],
    ['a choice of another tool', { tools, tool_choice: { type: 'tool', name: 'x' } }, 'tool_choice'],
    ['another choice', { tools, tool_choice: { type: 'required' } }, 'tool_choice.type'],
    ['a choice that is a word', { tools, tool_choice: 'auto' }, 'tool_choice'],
    ['a choice of tools after a beginning', { ...begun, tools, tool_choice: { type: 'any' } }, 'tool_choice'],
    ['a small budget', { thinking: { type: 'enabled', budget_tokens: 100 } }, 'thinking.budget_tokens'],
    ['a budget beyond the limit', { thinking: { type: 'enabled', budget_tokens: 1024 } }, 'thinking.budget_tokens'],
    ['no budget', { thinking: { type: 'enabled' } }, 'thinking.budget_tokens'],
    ['another way to think', { thinking: { type: 'between_tools' } }, 'thinking.type'],
    ['thinking after a beginning', { ...begun, max_tokens: 2000, thinking: { type: 'enabled', budget_tokens: 1024 } }, 'thinking'],
    ['another effort', { output_config: { effort: 'none' } }, 'output_config.effort'],
    ['another format', { output_config: { format: { type: 'text' } } }, 'output_config.format.type'],
    ['a schema that no grammar holds', { output_config: { format: { type: 'json_schema', schema: { not: {} } } } }, 'output_config.format.schema'],
    ['a format after a beginning', { ...begun, output_config: { format: { type: 'json_schema', schema: {} } } }, 'output_config.format'],
    ['a container', { container: 'x' }, 'container'],
    ['servers of tools', { mcp_servers: [{}] }, 'mcp_servers'],
    ['thinking that is to be forgotten', { context_management: { edits: [{ type: 'clear_thinking_20251015', keep: { type: 'thinking_turns', value: 1 } }] } }, 'context_management'],
    ['edits of the context', { context_management: { edits: [{ type: 'clear_tool_uses_20250919' }] } }, 'context_management'],
    ['a thread', { thread: {} }, 'thread'],
    ['diagnostics', { diagnostics: { previous_message_id: 'x' } }, 'diagnostics'],
    ['a place', { inference_geo: 'eu' }, 'inference_geo'],
    ['another speed', { speed: 'fast' }, 'speed']
  ])('%s is a 400 that names it', async (_what, changes, name) => {
    const { errorOf, inference, logText } = await setUp()
    const { status, type, message } = await errorOf(changes)
    expect({ status, type }).toEqual({ status: 400, type: 'invalid_request_error' })
    expect(message).toContain(name)
    expect(message).not.toMatch(/function\.|response_format|reasoning_effort/)
    expect(inference.requests).toHaveLength(0)
    expect(logText()).not.toContain(message)
  })

  it('is no error where it asks for what happens anyway', async () => {
    const { post } = await setUp()
    const nothing = Object.fromEntries(['system', 'container', 'diagnostics', 'thinking', 'tools', 'tool_choice', 'metadata', 'output_config', 'context_management', 'cache_control', 'temperature', 'stop_sequences'].map((name) => [name, null]))
    expect((await post(nothing)).statusCode).toBe(200)
    expect((await post({ context_management: { edits: [{ type: 'clear_thinking_20251015', keep: 'all' }] }, mcp_servers: [], speed: 'standard' })).statusCode).toBe(200)
  })
})

describe('the list of models', () => {
  const list = async (query = '', headers: Record<string, string> = { 'anthropic-version': '2023-06-01' }) => {
    const hosts = ['a', 'b', 'c'].map((id) => createTestHost(createScriptedInference(() => []), { id }))
    const { app } = await buildTestApp(hosts)
    apps.push(app)
    return (await app.inject({ method: 'GET', url: `/v1/models${query}`, headers })).json<Record<string, unknown> & { data: { id: string }[] }>()
  }
  const info = (id: string) => ({
    type: 'model',
    id,
    display_name: id,
    created_at: '2023-11-14T22:13:20.000Z',
    max_input_tokens: 1024,
    max_tokens: 1024,
    capabilities: null,
    lifecycle: 'active',
    line: null,
    deprecated_at: null,
    retires_at: null
  })

  it('has Anthropic\'s shape for its clients alone', async () => {
    expect(await list()).toEqual({ data: [info('a'), info('b'), info('c')], has_more: false, first_id: 'a', last_id: 'c' })
    expect(await list('/b')).toEqual(info('b'))
    expect(await list('/d')).toMatchObject({ type: 'error', error: { type: 'not_found_error' } })
    expect(await list('', {})).toMatchObject({ object: 'list' })
    expect(await list('/b', {})).toMatchObject({ object: 'model' })
  })

  it('comes in pages where that is asked for', async () => {
    const page = async (query: string) => {
      const { data, has_more: hasMore, first_id: first, last_id: last } = await list(query)
      expect([first, last]).toEqual([data.at(0)?.id ?? null, data.at(-1)?.id ?? null])
      return [data.map(({ id }) => id).join(''), hasMore]
    }
    expect(await page('?limit=2')).toEqual(['ab', true])
    expect(await page('?limit=2&after_id=b')).toEqual(['c', false])
    expect(await page('?after_id=c')).toEqual(['', false])
    expect(await page('?limit=1&before_id=c')).toEqual(['b', true])
    expect(await page('?beta=true&limit=3')).toEqual(['abc', false])
    expect(await page('?before_id=c')).toEqual(['ab', false])
    for (const [query, name] of [['?limit=0', 'limit'], ['?limit=x', 'limit'], ['?after_id=d', 'after_id'], ['?page=2', 'page']] as const) {
      expect(await list(query)).toMatchObject({ type: 'error', error: { type: 'invalid_request_error', message: expect.stringContaining(name) } })
    }
  })
})

describe('errors in Anthropic\'s shape', () => {
  const shape = (type: string) => ({ type: 'error', error: { type, message: expect.any(String) }, request_id: expect.stringMatching(/^req_/) })

  it.each([
    ['queue_full', 429, 'rate_limit_error'],
    ['queue_timeout', 529, 'overloaded_error'],
    ['model_loading', 529, 'overloaded_error'],
    ['server_draining', 529, 'overloaded_error'],
    ['engine_error', 500, 'api_error'],
    ['generation_timeout', 504, 'timeout_error'],
    ['permission_denied', 403, 'permission_error'],
    ['context_length_exceeded', 400, 'invalid_request_error']
  ] as const)('have Anthropic\'s status and type: %s', async (code, status, type) => {
    const { post } = await setUp([{ type: 'throw', error: new ServerError(code, 'Sorry', { retryAfterMs: 1500 }) }])
    const response = await post()
    expect(response.statusCode).toBe(status)
    expect(response.json()).toEqual(shape(type))
    expect(response.headers['request-id']).toBe(response.json<{ request_id: string }>().request_id)
    expect(response.headers['retry-after']).toBe(status === 429 || status === 529 ? '2' : undefined)
    expect(response.headers['x-should-retry']).toBe(code === 'engine_error' || code === 'generation_timeout' ? 'false' : undefined)
  })

  it('name the messages where they are too long', async () => {
    const { errorOf } = await setUp([{ type: 'throw', error: new ServerError('context_length_exceeded', 'It has 9 tokens') }])
    expect((await errorOf({})).message).toBe('messages: prompt is too long. It has 9 tokens')
  })

  it('tell clients that would have the conversation kept to send all of it', async () => {
    const { post } = await setUp()
    expect((await post({ thread: { type: 'create' } })).json()).toMatchObject({ error: { type: 'invalid_request_error', details: { error_code: 'thread_unsupported_request' } } })
    expect((await post({ container: 'x' })).json<{ error: object }>().error).not.toHaveProperty('details')
  })

  it('answer what is wrong before a handler runs', async () => {
    const { app } = await setUp(undefined, { config: { apiKeys: ['sk-right'], bodyLimit: 1000 } })
    const post = async (payload: string, headers: Record<string, string>, url = '/v1/messages') =>
      await app.inject({ method: 'POST', url, payload, headers: { 'content-type': 'application/json', ...headers } })
    const right = { 'x-api-key': 'sk-right', 'anthropic-version': '2023-06-01', 'anthropic-beta': 'some-beta' }
    const expectError = async (response: Awaited<ReturnType<typeof post>>, status: number, type: string) => {
      expect(response.statusCode).toBe(status)
      expect(response.json()).toEqual(shape(type))
      expect(response.headers['request-id']).toBe(response.json<{ request_id: string }>().request_id)
    }
    await expectError(await post(JSON.stringify(hello), { 'x-api-key': 'sk-wrong' }), 401, 'authentication_error')
    await expectError(await post(JSON.stringify(hello), {}), 401, 'authentication_error')
    await expectError(await post('{"model":', right), 400, 'invalid_request_error')
    await expectError(await post(JSON.stringify(text('x'.repeat(2000))), right), 413, 'request_too_large')
    await expectError(await post('x', { ...right, 'content-type': 'text/plain' }), 415, 'invalid_request_error')
    await expectError(await post('{}', right, '/v1/messages/batches'), 404, 'not_found_error')
    await expectError(await post('{}', right, '/v1/files'), 404, 'not_found_error')
    await expectError(await app.inject({ method: 'GET', url: '/v1/messages', headers: right }), 405, 'invalid_request_error')
    expect((await post(JSON.stringify(hello), right)).statusCode).toBe(200)
    expect((await post('{}', { 'x-api-key': 'sk-right' }, '/v1/chat/completions')).json()).toHaveProperty('error.code')
  })
})
