import { afterEach, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import type { OpenAI } from 'openai'
import { ServerError } from '../../../src/domain/errors.ts'
import type { GenerationRequest } from '../../../src/inference/inference.ts'
import { answerEvents, createScriptedInference, type ScriptStep } from '../../support/scripted-inference.ts'
import { readSse } from '../../support/sse.ts'
import { buildTestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const apps: FastifyInstance[] = []
afterEach(async () => { for (const app of apps.splice(0)) await app.close() })

const textOf = ({ prompt }: GenerationRequest): string =>
  'tokens' in prompt ? `tokens ${prompt.tokens.join(' ')}` : prompt.segments.map(({ text }) => text).join('')

/** Answers with the prompt in brackets, in two pieces. */
const bracketed = (request: GenerationRequest): ScriptStep[] =>
  answerEvents([`[${textOf(request)}`, ']'], { choices: request.choices, withLogprobs: request.sampling.logprobs !== null })

async function setUp (script: (request: GenerationRequest) => readonly ScriptStep[] = bracketed) {
  const inference = createScriptedInference(script)
  const { app } = await buildTestApp([createTestHost(inference)])
  apps.push(app)
  const post = async (body: object) => await app.inject({
    method: 'POST', url: '/v1/completions', payload: { model: 'test-model', ...body }
  })
  const texts = async (body: object) => (await post(body)).json<OpenAI.Completion>().choices.map(({ text }) => text)
  return { inference, post, texts }
}

describe('a completion', () => {
  it('has OpenAI\'s shape', async () => {
    const { post, inference } = await setUp()
    const response = await post({ prompt: 'abc' })
    expect(response.json()).toEqual({
      id: expect.stringMatching(/^cmpl-[0-9a-f]{32}$/),
      object: 'text_completion',
      created: expect.any(Number),
      model: 'test-model',
      system_fingerprint: expect.stringMatching(/^fp_/),
      choices: [{ index: 0, text: '[abc]', logprobs: null, finish_reason: 'stop' }],
      usage: {
        prompt_tokens: 5,
        completion_tokens: 2,
        total_tokens: 7,
        prompt_tokens_details: { cached_tokens: 2, audio_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 }
      },
      service_tier: 'default'
    })
    // OpenAI's default, unlike the chat endpoint's.
    expect(inference.requests[0]?.maxTokens).toBe(16)
  })

  it('refuses tokens that the model does not have, also when it is to echo them', async () => {
    const { post, inference } = await setUp()
    for (const echo of [false, true]) {
      const response = await post({ prompt: [97, 256], echo })
      expect(response.statusCode).toBe(400)
      expect(response.json()).toMatchObject({ error: { code: 'invalid_value', param: 'prompt[1]', message: expect.stringContaining('token 256 is not in the vocabulary') } })
    }
    expect(inference.requests).toHaveLength(0)
  })

  it('runs many prompts at once without a warning of Node\'s', async () => {
    const warnings: Error[] = []
    const hear = (warning: Error): void => { warnings.push(warning) }
    process.on('warning', hear)
    try {
      let gone = (): void => {}
      const all = new Promise<void>((resolve) => { gone = resolve })
      let begun = 0
      const { texts } = await setUp((request) => {
        if (++begun === 40) gone()
        return [{ type: 'wait', until: all }, ...bracketed(request)]
      })
      const prompt = Array.from({ length: 40 }, (_, index) => `p${index}`)
      expect(await texts({ prompt })).toEqual(prompt.map((text) => `[${text}]`))
      await new Promise((resolve) => { setImmediate(resolve) })
      expect(warnings).toEqual([])
    } finally {
      process.off('warning', hear)
    }
  })

  it('lets the caller write control texts: it is the template here', async () => {
    const { post, inference } = await setUp()
    await post({ prompt: '<|user|>x<|end|>' })
    expect(inference.requests[0]?.prompt).toEqual({ segments: [{ text: '<|user|>x<|end|>', origin: 'template' }] })
  })

  it('takes all four forms of prompts', async () => {
    const { texts } = await setUp()
    expect(await texts({ prompt: 'a' })).toEqual(['[a]'])
    expect(await texts({ prompt: ['a', 'b'] })).toEqual(['[a]', '[b]'])
    expect(await texts({ prompt: [97, 98] })).toEqual(['[tokens 97 98]'])
    expect(await texts({ prompt: [[97], [98, 99]] })).toEqual(['[tokens 97]', '[tokens 98 99]'])
  })

  it('numbers the choices of several prompts in order', async () => {
    const { post } = await setUp()
    const body = (await post({ prompt: ['a', 'b'], n: 2, best_of: 2 })).json<OpenAI.Completion>()
    expect(body.choices.map(({ index, text }) => [index, text])).toEqual([[0, '[a]'], [1, '[a]'], [2, '[b]'], [3, '[b]']])
    expect(body.usage).toMatchObject({ prompt_tokens: 10, completion_tokens: 8 })
  })

  it('echoes texts and tokens', async () => {
    const { texts } = await setUp()
    expect(await texts({ prompt: ['a', 'b'], echo: true })).toEqual(['a[a]', 'b[b]'])
    expect(await texts({ prompt: [97, 98], echo: true })).toEqual(['ab[tokens 97 98]'])
  })

  it('reports log-probabilities in the old form', async () => {
    const { post } = await setUp(() => answerEvents(['é', '😀', 'z'], { withLogprobs: true }))
    const body = (await post({ prompt: 'a', logprobs: 1 })).json<OpenAI.Completion>()
    expect(body.choices[0]?.logprobs).toEqual({
      tokens: ['é', '😀', 'z'],
      token_logprobs: [-0.5, -0.5, -0.5],
      top_logprobs: [{ é: -0.5, x: -9999 }, { '😀': -0.5, x: -9999 }, { z: -0.5, x: -9999 }],
      text_offset: [0, 1, 2]
    })
  })

  it('gives up the other prompts when one fails', async () => {
    const { post, inference } = await setUp((request) => textOf(request) === 'bad'
      ? [...answerEvents([]).slice(0, 1), { type: 'throw', error: new ServerError('engine_error', 'The step was lost') }]
      : [...answerEvents(['x']).slice(0, 3), { type: 'wait', until: new Promise(() => {}) }])
    const response = await post({ prompt: ['good', 'bad', 'fine'] })
    expect(response.statusCode).toBe(500)
    expect(response.json()).toMatchObject({ error: { code: 'engine_error', message: 'The step was lost' } })
    expect(inference.aborted).toHaveLength(2)
  })
})

describe('a streamed completion', () => {
  it('has an index for every choice of every prompt, and one usage chunk', async () => {
    const { post } = await setUp()
    const response = await post({ prompt: ['a', 'b'], n: 2, echo: true, stream: true, stream_options: { include_usage: true } })
    expect(response.headers['content-type']).toBe('text/event-stream; charset=utf-8')
    const events = readSse(response.body)
    expect(events.pop()).toBe('[DONE]')
    const chunks = events as OpenAI.Completion[]
    expect(chunks.pop()).toMatchObject({ object: 'text_completion', choices: [], usage: { prompt_tokens: 10, completion_tokens: 8, total_tokens: 18 } })
    const textsByIndex = ['', '', '', '']
    const reasons: unknown[] = []
    for (const { choices: [choice], usage } of chunks) {
      expect(usage).toBeNull()
      if (choice === undefined) continue
      textsByIndex[choice.index] += choice.text
      if (choice.finish_reason !== null) reasons[choice.index] = choice.finish_reason
    }
    expect(textsByIndex).toEqual(['a[a]', 'a[a]', 'b[b]', 'b[b]'])
    expect(reasons).toEqual(['stop', 'stop', 'stop', 'stop'])
  })

  it('goes on counting text offsets from chunk to chunk', async () => {
    const { post } = await setUp(() => answerEvents(['ab', 'c'], { withLogprobs: true }))
    const chunks = readSse((await post({ prompt: 'a', logprobs: 0, stream: true })).body) as OpenAI.Completion[]
    expect(chunks.slice(0, 2).map((chunk) => chunk.choices[0]?.logprobs?.text_offset)).toEqual([[0], [2]])
    expect(chunks[2]?.choices[0]).toEqual({ index: 0, text: '', logprobs: null, finish_reason: 'stop' })
  })
})
