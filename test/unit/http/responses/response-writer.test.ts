import fc from 'fast-check'
import type { OpenAI } from 'openai'
import { describe, expect, it } from 'vitest'
import { ParameterTypes } from '../../../../src/chat/structured/parameter-types.ts'
import { dialectNamed } from '../../../../src/chat/dialects/dialects.ts'
import { ServerError } from '../../../../src/domain/errors.ts'
import type { ResponseBody } from '../../../../src/http/responses/response-body.ts'
import { createResponseBody } from '../../../../src/http/responses/response-body.ts'
import { writeResponseEvent } from '../../../../src/http/responses/response-events.ts'
import { ResponseWriter } from '../../../../src/http/responses/response-writer.ts'
import { responseRequestSchema } from '../../../../src/http/schemas/response-request.ts'
import { answerEvents } from '../../../support/scripted-inference.ts'

type Event = OpenAI.Responses.ResponseStreamEvent

const identity = { id: 'resp_1', created: 1, model: 'm', fingerprint: 'fp', serviceTier: 'default' } as const

/** Writes a response as a stream would be sent: every event is what it was when it was told. */
function setUp (options: { tellsSummary?: boolean, background?: boolean } = {}) {
  const { tellsSummary = false, background = false } = options
  const events: Event[] = []
  const ended: ResponseBody['status'][] = []
  const writer = new ResponseWriter({
    body: createResponseBody(responseRequestSchema.parse({ model: 'm', input: 'x', background }), identity, true),
    format: { dialect: dialectNamed('hermes'), template: '<tool_call>', prompt: '', continuesContent: false, tools: new Map(['get', 'put'].map((name) => [name, new ParameterTypes({})])), splitsReasoning: true, mostCalls: Infinity },
    tellsSummary,
    tellsPortableReasoning: false,
    emit: (event) => {
      const [, data = ''] = writeResponseEvent(event, events.length).trimEnd().split('\ndata: ')
      events.push(JSON.parse(data) as Event)
    },
    onEnd: ({ status }) => { ended.push(status) }
  })
  return { writer, events, ended, types: () => events.map(({ type }) => type), write: (all: ReturnType<typeof answerEvents>) => { for (const event of all) writer.take(0, event) } }
}

/** What a client puts together from the deltas alone. */
function readDeltas (events: readonly Event[]) {
  const items: { type: string, text: string }[] = []
  for (const event of events) {
    if (event.type === 'response.output_item.added') {
      expect(event.output_index).toBe(items.length)
      items.push({ type: event.item.type, text: '' })
    }
    if ('delta' in event && 'output_index' in event && typeof event.delta === 'string') {
      const item = items[event.output_index]!
      expect(event.output_index).toBe(items.length - 1)
      item.text += event.delta
    }
  }
  return items
}

const textOf = (item: ResponseBody['output'][number]): string => {
  switch (item.type) {
    case 'function_call': return item.arguments
    case 'reasoning': return [...item.summary, ...item.content].map(({ text }) => text).join('')
    case 'message': return item.content.map((part) => part.type === 'output_text' ? part.text : part.refusal).join('')
  }
}

const callText = fc.record({ name: fc.constantFrom('get', 'put'), arguments: fc.dictionary(fc.string({ maxLength: 5 }), fc.string({ maxLength: 8 }), { maxKeys: 3 }) })
  .map((call) => `<tool_call>\n${JSON.stringify(call)}\n</tool_call>`)
const answerText = fc.record({
  reasoning: fc.option(fc.string({ maxLength: 20 }), { nil: null }),
  content: fc.string({ maxLength: 40 }),
  calls: fc.array(callText, { maxLength: 3 }),
  damage: fc.nat(5)
}).map(({ reasoning, content, calls, damage }) => {
  const text = `${reasoning === null ? '' : `<think>${reasoning}</think>`}${content}${calls.join('\n')}`
  return damage === 0 ? text.slice(0, Math.ceil(text.length / 2)) : text
})

describe('the events of a response', () => {
  it('add up to its body, whatever the answer and however it comes', () => {
    fc.assert(fc.property(answerText, fc.integer({ min: 1, max: 7 }), fc.constantFrom('stop' as const, 'length' as const), fc.boolean(), (text, length, reason, tellsSummary) => {
      const { writer, events, ended, write } = setUp({ tellsSummary })
      write(answerEvents(text.match(new RegExp(`[^]{1,${length}}`, 'gu')) ?? [], { reason }))
      const status = reason === 'stop' ? 'completed' : 'incomplete'
      expect(ended).toEqual([status])
      expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index))
      expect(events.map(({ type }) => type).filter((type) => /^response\.[a-z_]+$/.test(type))).toEqual(['response.created', 'response.in_progress', `response.${status}`])
      const body = JSON.parse(JSON.stringify(writer.body)) as ResponseBody
      expect((events.at(-1) as OpenAI.Responses.ResponseCompletedEvent).response).toEqual(body)
      expect(readDeltas(events)).toEqual(body.output.map((item) => ({ type: item.type, text: textOf(item) })))
      // Each item is said to be done once, as it is in the end, and only the last one can be cut off.
      const done = events.flatMap((event) => event.type === 'response.output_item.done' ? [event.item] : [])
      expect(done).toEqual(body.output)
      expect(body.output.map((item) => item.status)).toEqual(body.output.map((_, index) => index === body.output.length - 1 ? status : 'completed'))
      expect(new Set(body.output.map(({ id }) => id)).size).toBe(body.output.length)
    }))
  })

  it('come in OpenAI\'s order', () => {
    const { types, write } = setUp()
    write(answerEvents(['<think>Hm</think>', 'Well', '. ', '<tool_call>{"name": "get", ', '"arguments": {"a": 1}}</tool_call>']))
    expect(types().filter((type, index, all) => type !== all[index - 1])).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.reasoning_text.delta',
      'response.reasoning_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.output_item.added',
      'response.function_call_arguments.delta',
      'response.function_call_arguments.done',
      'response.output_item.done',
      'response.completed'
    ])
  })

  it('begin an item before they say what is in it', () => {
    const { events, write } = setUp()
    write(answerEvents(['<think>Hm</think>', 'Well', '<tool_call>{"name": "get", "arguments": {"a": 1}}</tool_call>']))
    expect(events.filter((event) => event.type === 'response.output_item.added').map(({ item }) => item)).toMatchObject([
      { type: 'reasoning', status: 'in_progress', summary: [], content: [] },
      { type: 'message', status: 'in_progress', role: 'assistant', content: [] },
      { type: 'function_call', status: 'in_progress', name: 'get', call_id: expect.stringMatching(/^call_/), arguments: '' }
    ])
    expect(events.find((event) => event.type === 'response.function_call_arguments.done')).toMatchObject({ name: 'get', arguments: '{"a": 1}' })
  })

  it('tell log-probabilities with their texts', () => {
    const { events, write } = setUp()
    write(answerEvents(['He', 'y'], { withLogprobs: true }))
    const of = (type: Event['type']) => events.flatMap((event) => event.type === type && 'logprobs' in event ? [event.logprobs.map(({ token }) => token)] : [])
    expect(of('response.output_text.delta')).toEqual([['He'], ['y']])
    expect(of('response.output_text.done')).toEqual([['He', 'y']])
  })

  it('say first that it is queued where nobody waits for it', () => {
    const { events, types, write } = setUp({ background: true })
    write(answerEvents(['Hey']).slice(0, 1))
    expect(types()).toEqual(['response.created', 'response.queued'])
    write(answerEvents(['Hey']).slice(1))
    expect(events.flatMap((event) => 'response' in event ? [event.response.status] : [])).toEqual(['queued', 'queued', 'in_progress', 'completed'])
  })

  it('end with an error and the failed response', () => {
    const { writer, events, ended, write } = setUp()
    write(answerEvents(['Hey', ' you']).slice(0, 3))
    writer.fail(new ServerError('engine_crashed', 'The engine has died'))
    expect(events.slice(-2)).toMatchObject([
      { type: 'error', code: 'engine_crashed', message: 'The engine has died', param: null, error: { type: 'server_error', code: 'engine_crashed', message: 'The engine has died', param: null } },
      { type: 'response.failed', response: { status: 'failed', error: { code: 'server_error', message: 'The engine has died' }, usage: null, output: [{ status: 'incomplete', content: [{ text: 'Hey' }] }] } }
    ])
    expect(ended).toEqual(['failed'])
  })

  it('begin with the response even when it fails before it has begun', () => {
    const { writer, types } = setUp()
    writer.fail(new ServerError('queue_timeout', 'Too long'))
    expect(types()).toEqual(['response.created', 'error', 'response.failed'])
  })
})
