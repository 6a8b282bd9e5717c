import { afterEach, describe, expect, it } from 'vitest'
import type { FastifyInstance } from 'fastify'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { readSse } from '../../support/sse.ts'
import { buildTestApp } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const apps: FastifyInstance[] = []
afterEach(async () => { for (const app of apps.splice(0)) await app.close() })

async function setUp (texts: readonly string[]) {
  const inference = createScriptedInference(({ sampling, choices }) => answerEvents(texts, { choices, withLogprobs: sampling.logprobs !== null }))
  const { app } = await buildTestApp([createTestHost(inference)])
  apps.push(app)
  return async (path: string, body: object) => (await app.inject({ method: 'POST', url: `/v1/${path}`, payload: { model: 'test-model', ...body } }))
}

type Shape = string | readonly Shape[] | { readonly [member: string]: Shape }

/** The members of a value in their order, and the types of those without members. */
function shapeOf (value: unknown): Shape {
  if (value === null) return 'null'
  if (Array.isArray(value)) return value.map(shapeOf)
  return typeof value === 'object' ? Object.fromEntries(Object.entries(value).map(([name, member]) => [name, shapeOf(member)])) : typeof value
}

/** As text, so that the order of members counts. */
const expectShape = (value: unknown, shape: Shape): void => { expect(JSON.stringify(shapeOf(value), null, 1)).toBe(JSON.stringify(shape, null, 1)) }

const usage = {
  prompt_tokens: 'number',
  completion_tokens: 'number',
  total_tokens: 'number',
  prompt_tokens_details: { cached_tokens: 'number', audio_tokens: 'number' },
  completion_tokens_details: { reasoning_tokens: 'number', audio_tokens: 'number', accepted_prediction_tokens: 'number', rejected_prediction_tokens: 'number' }
}
const bodyOf = (choices: readonly Shape[]): Shape => ({
  id: 'string', object: 'string', created: 'number', model: 'string', choices, usage, service_tier: 'string', system_fingerprint: 'string'
})
const chunkOf = (choices: readonly Shape[], more: { readonly usage?: Shape } = {}): Shape => ({
  id: 'string', object: 'string', created: 'number', model: 'string', service_tier: 'string', system_fingerprint: 'string', choices, ...more
})

const messages = [{ role: 'user', content: 'Hi' }]
const tools = [{ type: 'function', function: { name: 'get_time' } }]
const call = '<tool_call>{"name": "get_time", "arguments": {}}</tool_call>'
const callShape = { id: 'string', type: 'string', function: { name: 'string', arguments: 'string' } }
const logprob = { token: 'string', logprob: 'number', bytes: ['number'], top_logprobs: [] as Shape[] }
const candidate = { token: 'string', logprob: 'number', bytes: ['number'] }
const logprobsOf = (tops: number): Shape => ({ content: [{ ...logprob, top_logprobs: Array.from({ length: tops }, () => candidate) }], refusal: 'null' })

describe('a chat completion', () => {
  const choiceOf = (message: Shape, logprobs: Shape = 'null'): Shape => ({ index: 'number', message, logprobs, finish_reason: 'string' })
  const message = { role: 'string', content: 'string', refusal: 'null', annotations: [] }

  it.each([
    ['plain', ['a'], {}, [choiceOf(message)]],
    ['without any text', [], {}, [choiceOf(message)]],
    ['of several choices', ['a'], { n: 2 }, [choiceOf(message), choiceOf(message)]],
    ['with log-probabilities', ['a'], { logprobs: true, top_logprobs: 2 }, [choiceOf(message, logprobsOf(2))]],
    ['with a call', [call], { tools }, [choiceOf({ ...message, content: 'null', tool_calls: [callShape] })]],
    ['with content and a call', ['I look.', call], { tools }, [choiceOf({ ...message, tool_calls: [callShape] })]],
    ['with reasoning', ['<think>', 'Hm', '</think>', 'a'], {}, [choiceOf({ ...message, reasoning_content: 'string', reasoning: 'string' })]]
  ])('has all of its members, in order: %s', async (_name, texts, members, choices) => {
    const post = await setUp(texts)
    expectShape((await post('chat/completions', { messages, ...members })).json(), bodyOf(choices))
  })

  const deltaOf = (delta: Shape, { logprobs = 'null', reason = 'null' }: { logprobs?: Shape, reason?: string } = {}): readonly Shape[] =>
    [{ index: 'number', delta, logprobs, finish_reason: reason }]
  const roleDelta = deltaOf({ role: 'string', content: 'string', refusal: 'null' })
  const silentRoleDelta = deltaOf({ role: 'string', content: 'null', refusal: 'null' })
  const contentDelta = deltaOf({ content: 'string' })
  const endDelta = deltaOf({}, { reason: 'string' })

  it.each([
    ['plain', ['a'], {}, [roleDelta, contentDelta, endDelta]],
    ['without any text', [], {}, [roleDelta, endDelta]],
    ['with log-probabilities', ['a'], { logprobs: true, top_logprobs: 2 }, [roleDelta, deltaOf({ content: 'string' }, { logprobs: logprobsOf(2) }), endDelta]],
    ['with a call', [call], { tools }, [
      silentRoleDelta, deltaOf({ tool_calls: [{ index: 'number', ...callShape }] }), deltaOf({ tool_calls: [{ index: 'number', function: { arguments: 'string' } }] }), endDelta
    ]],
    ['with reasoning', ['<think>', 'Hm', '</think>', 'a'], {}, [silentRoleDelta, deltaOf({ reasoning_content: 'string', reasoning: 'string' }), contentDelta, endDelta]]
  ])('has all of its members in each chunk, in order: %s', async (_name, texts, members, deltas) => {
    const post = await setUp(texts)
    const chunks = async (more: object) => readSse((await post('chat/completions', { messages, ...members, stream: true, ...more })).body)
    expectShape(await chunks({}), [...deltas.map((choices) => chunkOf(choices)), 'string'])
    expectShape(await chunks({ stream_options: { include_usage: true } }), [...deltas.map((choices) => chunkOf(choices, { usage: 'null' })), chunkOf([], { usage }), 'string'])
  })

  it('has values that OpenAI\'s clients tell apart', async () => {
    const post = await setUp(['a'])
    expect((await post('chat/completions', { messages })).json()).toMatchObject({
      id: expect.stringMatching(/^chatcmpl-[0-9a-f]{32}$/),
      object: 'chat.completion',
      service_tier: 'default',
      usage: {
        total_tokens: 6,
        prompt_tokens_details: { cached_tokens: 2, audio_tokens: 0 },
        completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0, accepted_prediction_tokens: 0, rejected_prediction_tokens: 0 }
      }
    })
    const [chunk] = readSse((await post('chat/completions', { messages, stream: true })).body)
    expect(chunk).toMatchObject({ object: 'chat.completion.chunk', service_tier: 'default' })
  })
})

describe('a completion', () => {
  const choiceOf = (logprobs: Shape = 'null', reason = 'string'): Shape => ({ text: 'string', index: 'number', logprobs, finish_reason: reason })
  const logprobs = { tokens: ['string'], token_logprobs: ['number'], top_logprobs: [{ a: 'number', x: 'number' }], text_offset: ['number'] }

  it.each([
    ['plain', {}, [choiceOf()]],
    ['of several choices', { n: 2 }, [choiceOf(), choiceOf()]],
    ['with log-probabilities', { logprobs: 2 }, [choiceOf(logprobs)]]
  ])('has all of its members, in order: %s', async (_name, members, choices) => {
    const post = await setUp(['a'])
    expectShape((await post('completions', { prompt: 'x', ...members })).json(), bodyOf(choices))
  })

  it.each([
    ['plain', {}, choiceOf('null', 'null')],
    ['with log-probabilities', { logprobs: 2 }, choiceOf(logprobs, 'null')]
  ])('has all of its members in each chunk, in order: %s', async (_name, members, choice) => {
    const post = await setUp(['a'])
    const chunks = async (more: object) => readSse((await post('completions', { prompt: 'x', ...members, stream: true, ...more })).body)
    expectShape(await chunks({}), [chunkOf([choice]), chunkOf([choiceOf()]), 'string'])
    expectShape(await chunks({ stream_options: { include_usage: true } }), [chunkOf([choice], { usage: 'null' }), chunkOf([choiceOf()], { usage: 'null' }), chunkOf([], { usage }), 'string'])
  })
})
