import { connect } from 'node:net'
import { once } from 'node:events'
import { text as readText } from 'node:stream/consumers'
import { afterEach, describe, expect, it, vi } from 'vitest'
import type { FastifyInstance } from 'fastify'
import type { OpenAI } from 'openai'
import { ServerError } from '../../../src/domain/errors.ts'
import { mixSeed } from '../../../src/domain/seed.ts'
import { answerEvents, createScriptedInference, type ScriptStep } from '../../support/scripted-inference.ts'
import { readSse } from '../../support/sse.ts'
import { buildTestApp, listen, type TestAppOptions } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'
import { patience } from '../../support/patience.ts'

const apps: FastifyInstance[] = []
afterEach(async () => {
  for (const app of apps.splice(0)) {
    app.server.closeAllConnections()
    await app.close()
  }
})

const never = new Promise<never>(() => {})
const hello = { model: 'test-model', messages: [{ role: 'user', content: 'Hi' }] }

async function setUp (script: readonly ScriptStep[] | (() => readonly ScriptStep[]) = answerEvents(['Hel', 'lo']), options: TestAppOptions = {}) {
  const inference = createScriptedInference(typeof script === 'function' ? script : () => script)
  const testApp = await buildTestApp([createTestHost(inference)], { randomSeed: () => 4242, ...options })
  apps.push(testApp.app)
  const post = async (body: object, headers: Record<string, string> = {}) =>
    await testApp.app.inject({ method: 'POST', url: '/v1/chat/completions', payload: body, headers })
  return { ...testApp, inference, post }
}

describe('a chat completion in one piece', () => {
  it('has OpenAI\'s shape', async () => {
    const { post, inference } = await setUp()
    const response = await post(hello)
    expect(response.statusCode).toBe(200)
    expect(response.headers['content-type']).toBe('application/json; charset=utf-8')
    const body = response.json<OpenAI.Chat.ChatCompletion>()
    expect(body).toEqual({
      id: expect.stringMatching(/^chatcmpl-[0-9a-f]{32}$/),
      object: 'chat.completion',
      created: expect.closeTo(Date.now() / 1000, -2),
      model: 'test-model',
      system_fingerprint: expect.stringMatching(/^fp_[0-9a-f]{12}$/),
      choices: [{ index: 0, message: { role: 'assistant', content: 'Hello', refusal: null, annotations: [] }, logprobs: null, finish_reason: 'stop' }],
      usage: {
        prompt_tokens: 5,
        completion_tokens: 2,
        total_tokens: 7,
        prompt_tokens_details: { cached_tokens: 2, audio_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 }
      },
      service_tier: 'default'
    })
    expect(inference.requests[0]?.id).toBe(body.id)
  })

  it('passes the rendered prompt and every option on', async () => {
    const { post, inference } = await setUp()
    await post({
      ...hello,
      messages: [{ role: 'system', content: [{ type: 'text', text: 'Be' }, { type: 'text', text: 'kind' }] }, { role: 'user', content: 'a<|end|>b' }],
      temperature: 0.5,
      top_p: 0.9,
      top_k: -1,
      min_p: 0.05,
      presence_penalty: 1,
      frequency_penalty: -1,
      repetition_penalty: 1.1,
      repeat_last_n: 32,
      dry_multiplier: 0.8,
      dry_sequence_breakers: ['\n'],
      xtc_probability: 0.2,
      logit_bias: { 7: -100, 9: 2.5 },
      seed: 12,
      min_tokens: 3,
      ignore_eos: true,
      grammar: 'root ::= "a"',
      stop: ['END', 'STOP'],
      n: 2,
      max_completion_tokens: 50,
      logprobs: true,
      top_logprobs: 3
    })
    expect(inference.requests[0]).toMatchObject({
      tenant: '127.0.0.1',
      prompt: {
        segments: [
          { text: '<|system|>Be\nkind<|end|><|user|>a', origin: 'template' },
          { text: '<|end|>', origin: 'user' },
          { text: 'b<|end|><|assistant|>', origin: 'template' }
        ]
      },
      choices: 2,
      maxTokens: 50,
      stop: ['END', 'STOP'],
      sampling: {
        temperature: 0.5,
        topP: 0.9,
        topK: 0,
        minP: 0.05,
        presencePenalty: 1,
        frequencyPenalty: -1,
        repeatPenalty: 1.1,
        repeatLastN: 32,
        dryMultiplier: 0.8,
        drySequenceBreakers: ['\n'],
        xtcProbability: 0.2,
        logitBias: [[7, -100], [9, 2.5]],
        seed: 12,
        minTokens: 3,
        ignoreEos: true,
        grammar: 'root ::= "a"',
        logprobs: 3
      },
      queueTimeoutMs: 60_000,
      timeoutMs: 600_000
    })
  })

  it.each([
    [undefined, 4242],
    [null, 4242],
    [0, 0],
    [4_294_967_295, 4_294_967_295],
    [-1, 4242],
    [-2, mixSeed(0xffff_fffe, 0xffff_ffff)],
    [2 ** 40 + 5, mixSeed(5, 256)]
  ])('makes 32 bits of the seed %s', async (seed, expected) => {
    const { post, inference } = await setUp()
    await post({ ...hello, seed })
    expect(inference.requests[0]?.sampling.seed).toBe(expected)
  })

  it('takes null for absent, and a single stop text', async () => {
    const { post, inference } = await setUp()
    const response = await post({ ...hello, temperature: null, stop: 'x', max_tokens: null, n: null, stream: null, stream_options: null, tools: null, logit_bias: null, user: null })
    expect(response.statusCode).toBe(200)
    expect(inference.requests[0]).toMatchObject({ stop: ['x'], maxTokens: null, choices: 1, sampling: { temperature: 1, logitBias: [], logprobs: null } })
  })

  it('reports log-probabilities', async () => {
    const { post } = await setUp(answerEvents(['Hé'], { withLogprobs: true }))
    const body = (await post({ ...hello, logprobs: true, top_logprobs: 2 })).json<OpenAI.Chat.ChatCompletion>()
    expect(body.choices[0]?.logprobs).toEqual({
      content: [{
        token: 'Hé',
        logprob: -0.5,
        bytes: [72, 195, 169],
        top_logprobs: [{ token: 'Hé', logprob: -0.5, bytes: [72, 195, 169] }, { token: 'x', logprob: -9999, bytes: [120] }]
      }],
      refusal: null
    })
  })

  it('tells the error that generating ended with', async () => {
    const { post } = await setUp([...answerEvents(['Hel']).slice(0, 3), { type: 'throw', error: new ServerError('engine_crashed', 'The engine died') }])
    const response = await post(hello)
    expect(response.statusCode).toBe(500)
    expect(response.json()).toEqual({ error: { message: 'The engine died', type: 'server_error', param: null, code: 'engine_crashed' } })
    expect(response.headers['x-should-retry']).toBeUndefined()
  })

  it('hides what it did not expect from the client, not from the log', async () => {
    const { post, logText } = await setUp([{ type: 'throw', error: new Error('secret path /etc') }])
    const response = await post(hello)
    expect(response.statusCode).toBe(500)
    expect(response.json<{ error: object }>().error).toMatchObject({ code: 'internal_error' })
    expect(response.headers['x-should-retry']).toBe('false')
    expect(response.body).not.toContain('secret')
    expect(logText()).toContain('secret path /etc')
  })
})

describe('a last message that is continued', () => {
  const begun = { ...hello, messages: [...hello.messages, { role: 'assistant', content: 'He' }] }

  it('is the end of the prompt, and the answer is the rest', async () => {
    const { post, inference } = await setUp(answerEvents(['llo']))
    for (const flags of [{ continue_final_message: true }, { continue_final_message: true, add_generation_prompt: false }]) {
      const response = await post({ ...begun, ...flags })
      expect(response.json()).toMatchObject({ choices: [{ message: { role: 'assistant', content: 'llo' }, finish_reason: 'stop' }] })
    }
    expect(inference.requests.map(({ prompt }) => prompt)).toEqual(Array(2).fill({ segments: [{ text: '<|user|>Hi<|end|><|assistant|>He', origin: 'template' }] }))
  })

  it('is a turn of its own unless asked', async () => {
    const { post, inference } = await setUp()
    await post(begun)
    await post({ ...begun, continue_final_message: false, add_generation_prompt: true })
    expect(inference.requests.map(({ prompt }) => prompt)).toEqual(Array(2).fill({ segments: [{ text: '<|user|>Hi<|end|><|assistant|>He<|end|><|assistant|>', origin: 'template' }] }))
  })

  it('is refused where it cannot be', async () => {
    const { post } = await setUp()
    const paramOf = async (changes: object): Promise<string> => (await post({ ...begun, ...changes })).json<{ error: { param: string } }>().error.param
    expect(await paramOf({ add_generation_prompt: false })).toBe('add_generation_prompt')
    expect(await paramOf({ continue_final_message: true, add_generation_prompt: true })).toBe('add_generation_prompt')
    expect(await paramOf({ continue_final_message: true, messages: hello.messages })).toBe('messages')
    expect(await paramOf({ continue_final_message: true, tools: [{ type: 'function', function: { name: 'x' } }], tool_choice: 'required' })).toBe('tool_choice')
  })
})

describe('a streamed chat completion', () => {
  it('has the framing and the chunks that OpenAI\'s clients read', async () => {
    const { post } = await setUp()
    const response = await post({ ...hello, stream: true })
    expect(response.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      'x-accel-buffering': 'no',
      'x-request-id': expect.stringMatching(/^req_/),
      'x-content-type-options': 'nosniff'
    })
    expect(response.body).toMatch(/^(data: [^\n]+\n\n)+$/)
    const events = readSse(response.body)
    const first = events[0] as OpenAI.Chat.ChatCompletionChunk
    const chunk = (delta: OpenAI.Chat.ChatCompletionChunk.Choice.Delta, finishReason: 'stop' | null = null) => ({
      id: first.id,
      object: 'chat.completion.chunk' as const,
      created: first.created,
      model: 'test-model',
      service_tier: 'default' as const,
      system_fingerprint: first.system_fingerprint as string,
      choices: [{ index: 0, delta, logprobs: null, finish_reason: finishReason }]
    }) satisfies OpenAI.Chat.ChatCompletionChunk
    expect(events).toEqual([
      chunk({ role: 'assistant', content: '', refusal: null }),
      chunk({ content: 'Hel' }),
      chunk({ content: 'lo' }),
      chunk({}, 'stop'),
      '[DONE]'
    ])
  })

  it('tells usage in a chunk of its own, when asked', async () => {
    const { post } = await setUp()
    const events = readSse((await post({ ...hello, stream: true, stream_options: { include_usage: true } })).body) as OpenAI.Chat.ChatCompletionChunk[]
    expect(events.slice(0, -2).map((event) => event.usage)).toEqual([null, null, null, null])
    expect(events.at(-2)).toMatchObject({
      choices: [],
      usage: { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7, prompt_tokens_details: { cached_tokens: 2 } }
    })
    expect(events.at(-1)).toBe('[DONE]')
  })

  it('counts what came of guesses from a prediction, in a body and at the end of a stream', async () => {
    const prediction = { accepted: 1, rejected: 3 }
    const { post } = await setUp(answerEvents(['Hel', 'lo'], { prediction }))
    const asked = { ...hello, prediction: { type: 'content', content: 'Hello' } }
    const counted = { completion_tokens: 2, completion_tokens_details: { accepted_prediction_tokens: 1, rejected_prediction_tokens: 3 } }
    expect((await post(asked)).json()).toMatchObject({ usage: counted })
    const events = readSse((await post({ ...asked, stream: true, stream_options: { include_usage: true } })).body) as OpenAI.Chat.ChatCompletionChunk[]
    expect(events.at(-2)).toMatchObject({ usage: counted })
  })

  it('tells usage so far in every chunk, when asked', async () => {
    const { post } = await setUp()
    const events = readSse((await post({ ...hello, stream: true, stream_options: { include_usage: true, continuous_usage_stats: true } })).body) as OpenAI.Chat.ChatCompletionChunk[]
    expect(events.slice(0, -1).map((event) => event.usage?.completion_tokens)).toEqual([0, 1, 2, 2, 2])
  })

  it('keeps choices apart', async () => {
    const { post } = await setUp(answerEvents(['a', 'b'], { choices: 2 }))
    const chunks = readSse((await post({ ...hello, stream: true, n: 2 })).body).slice(0, -1) as OpenAI.Chat.ChatCompletionChunk[]
    for (const index of [0, 1]) {
      const own = chunks.filter((chunk) => chunk.choices[0]?.index === index).map((chunk) => chunk.choices[0])
      expect(own.map((choice) => choice?.delta.role)).toEqual(['assistant', undefined, undefined, undefined])
      expect(own.map((choice) => choice?.delta.content ?? '').join('')).toBe('ab')
      expect(own.map((choice) => choice?.finish_reason)).toEqual([null, null, null, 'stop'])
    }
  })

  it('escapes what JSON needs escaped', async () => {
    const nasty = '"\\\n\r\t\u2028\u0000<|end|>data: 😀'
    const { post } = await setUp(answerEvents([nasty]))
    const chunks = readSse((await post({ ...hello, stream: true })).body) as OpenAI.Chat.ChatCompletionChunk[]
    expect(chunks[1]?.choices[0]?.delta.content).toBe(nasty)
  })

  it('sends log-probabilities with their text', async () => {
    const { post } = await setUp(answerEvents(['a', ''], { withLogprobs: true }))
    const chunks = readSse((await post({ ...hello, stream: true, logprobs: true })).body) as OpenAI.Chat.ChatCompletionChunk[]
    expect(chunks[1]?.choices[0]?.logprobs?.content?.[0]).toMatchObject({ token: 'a', logprob: -0.5 })
    expect(chunks[2]?.choices[0]?.logprobs?.content).toHaveLength(1)
  })

  it('gives an error before the first text its true status', async () => {
    const error = new ServerError('queue_full', 'Full', { retryAfterMs: 1500 })
    const { post } = await setUp([...answerEvents([]).slice(0, 2), { type: 'throw', error }])
    const response = await post({ ...hello, stream: true })
    expect(response.statusCode).toBe(429)
    expect(response.headers).toMatchObject({ 'retry-after': '2', 'retry-after-ms': '1500', 'content-type': 'application/json; charset=utf-8' })
    expect(response.json()).toEqual({ error: { message: 'Full', type: 'rate_limit_error', param: null, code: 'queue_full' } })
  })

  it('tells a later error as an event, without [DONE]', async () => {
    let fail = (): void => {}
    const failed = new Promise<void>((resolve) => { fail = resolve })
    const { app, log } = await setUp([
      ...answerEvents(['Hel']).slice(0, 3),
      { type: 'wait', until: failed },
      { type: 'throw', error: new ServerError('engine_crashed', 'The engine died') }
    ])
    const { origin } = await listen(app)
    const response = await fetch(`${origin}/v1/chat/completions`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...hello, stream: true })
    })
    expect(response.status).toBe(200)
    fail()
    const events = readSse(await response.text())
    expect(events.at(-1)).toEqual({ error: { message: 'The engine died', type: 'server_error', param: null, code: 'engine_crashed' } })
    expect(events).not.toContain('[DONE]')
    await vi.waitFor(() => expect(log().at(-1)).toMatchObject({ outcome: 'error', errorCode: 'engine_crashed', completionTokens: 1 }), patience)
  })

  it('keeps silent connections alive with comments', async () => {
    let proceed = (): void => {}
    const proceeded = new Promise<void>((resolve) => { proceed = resolve })
    const [accepted, ...rest] = answerEvents(['Hi'])
    const { app } = await setUp([accepted as ScriptStep, { type: 'wait', until: proceeded }, ...rest], { config: { keepAliveMs: 5 } })
    const { origin } = await listen(app)
    const response = await fetch(`${origin}/v1/chat/completions`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...hello, stream: true })
    })
    const reader = response.body?.getReader()
    const first = await reader?.read()
    expect(new TextDecoder().decode(first?.value)).toMatch(/^(: keep-alive\n\n)+$/)
    proceed()
    let rest_ = ''
    for (let part = await reader?.read(); part?.done === false; part = await reader?.read()) rest_ += new TextDecoder().decode(part.value)
    expect(readSse(rest_.replaceAll(': keep-alive\n\n', ''))).toHaveLength(4)
  })
})

describe('a client that leaves', () => {
  it.each([true, false])('ends its request (stream: %s)', async (stream) => {
    const { app, inference, log } = await setUp([...answerEvents(['Hel']).slice(0, 3), { type: 'wait', until: never }])
    const { origin } = await listen(app)
    const leaving = new AbortController()
    const aborted = inference.nextAbort()
    const answer = fetch(`${origin}/v1/chat/completions`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...hello, stream }), signal: leaving.signal
    })
    if (stream) await (await answer).body?.getReader().read()
    else await vi.waitFor(() => expect(inference.requests).toHaveLength(1), patience)
    leaving.abort()
    await answer.catch(() => {})
    await aborted
    expect(inference.aborted).toHaveLength(1)
    await vi.waitFor(() => expect(log().at(-1)).toMatchObject({ msg: 'request finished', outcome: 'aborted', status: 499, completionTokens: 1 }), patience)
  })

  it('is given up when it reads too slowly, while others go on', async () => {
    const chunk = 'x'.repeat(64 * 1024)
    const { app, inference, log } = await setUp(() => answerEvents(Array.from({ length: 2000 }, () => chunk)), { maxStreamBufferBytes: 256 * 1024 })
    const { origin, port } = await listen(app)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    socket.pause()
    const body = JSON.stringify({ ...hello, stream: true })
    socket.write(`POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
    await vi.waitFor(() => expect(log().at(-1)).toMatchObject({ outcome: 'aborted', errorCode: 'request_aborted' }), patience)
    expect(inference.requests).toHaveLength(1)
    socket.destroy()
    expect((await fetch(`${origin}/health`)).status).toBe(200)
  })

  it('does not hold up closing: running streams finish first', async () => {
    let finish = (): void => {}
    const finished = new Promise<void>((resolve) => { finish = resolve })
    const events = answerEvents(['Hel', 'lo'])
    const { app } = await setUp([...events.slice(0, 3), { type: 'wait', until: finished }, ...events.slice(3)])
    const { origin } = await listen(app)
    const response = await fetch(`${origin}/v1/chat/completions`, {
      method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ ...hello, stream: true })
    })
    const closed = app.close()
    finish()
    expect(readSse(await readText(response.body as never)).at(-1)).toBe('[DONE]')
    await closed
  })

  it.each(['before its first request', 'between two requests'])('does not hold up closing with a connection that idles %s', async (when) => {
    const { app } = await setUp()
    const { port } = await listen(app)
    const socket = connect(port, '127.0.0.1')
    await once(socket, 'connect')
    if (when === 'between two requests') {
      socket.write('GET /health HTTP/1.1\r\nhost: x\r\n\r\n')
      await once(socket, 'data')
    } else {
      await vi.waitUntil(async () => await new Promise((resolve) => app.server.getConnections((_error, count) => resolve(count === 1))), patience)
    }
    await app.close()
    socket.destroy()
  })
})
