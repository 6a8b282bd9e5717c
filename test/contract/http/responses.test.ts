import OpenAI from 'openai'
import { zodResponsesFunction, zodTextFormat } from 'openai/helpers/zod'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import type { Inference } from '../../../src/inference/inference.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp, listen } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'
import { rejectionOf as rejectionWith } from '../../support/rejection-of.ts'

type Response = OpenAI.Responses.Response
type Event = OpenAI.Responses.ResponseStreamEvent

interface ResponsesServer extends AsyncDisposable {
  readonly client: OpenAI
}

async function start (inference: Inference, onClose: () => void = () => {}): Promise<ResponsesServer> {
  const { app } = await buildTestApp([createTestHost(inference, { id: 'test' })])
  const { origin } = await listen(app)
  return {
    client: new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'none', maxRetries: 0 }),
    [Symbol.asyncDispose]: async () => {
      app.server.closeAllConnections()
      await app.close()
      await inference.destroy(new Error('The test is over'))
      onClose()
    }
  }
}

/** The whole path over the fake engine in this process: a listening server, its scheduler, no weights. */
async function startFake (): Promise<ResponsesServer> {
  const engine = createFakeEngine({ stepMs: 1, slotsPerLane: 4, contextSize: 2048, faults: { markers: true } })
  return await start(new LocalInference(engine, { maxQueue: 256 }), () => { expect(engine.violations).toEqual([]) })
}

const rejectionOf = async (promise: PromiseLike<unknown>) => await rejectionWith<InstanceType<typeof OpenAI.APIError>>(promise, OpenAI.APIError)

async function collect (stream: AsyncIterable<Event>): Promise<Event[]> {
  const events: Event[] = []
  for await (const event of stream) events.push(event)
  return events
}

const ask = { model: 'test', input: 'Hello, how are you?', temperature: 0, max_output_tokens: 24 } as const
/** Ids and times differ from run to run. */
const textOf = ({ output_text: text }: Response): string => text

describe('responses of the fake engine, through the openai client', () => {
  let server: ResponsesServer
  let client: OpenAI
  beforeAll(async () => {
    server = await startFake()
    client = server.client
  })
  afterAll(async () => await server[Symbol.asyncDispose]())

  it('come in one piece', async () => {
    const { data, request_id: requestId } = await client.responses.create(ask).withResponse()
    expect(requestId).toMatch(/^req_/)
    expect(textOf(data)).not.toBe('')
    expect(data.output).toMatchObject([{ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: data.output_text }] }])
    expect(data.usage?.total_tokens).toBe((data.usage?.input_tokens ?? 0) + (data.usage?.output_tokens ?? 0))
    const chat = await client.chat.completions.create({ model: 'test', messages: [{ role: 'user', content: ask.input }], temperature: 0, max_tokens: 24 })
    expect(textOf(data)).toBe(chat.choices[0]?.message.content)
  })

  it('come as a stream, and as the client\'s own stream helper puts it together', async () => {
    const whole = await client.responses.create(ask)
    const events = await collect(await client.responses.create({ ...ask, stream: true }))
    expect(events.map((event) => event.sequence_number)).toEqual(events.map((_, index) => index))
    expect(events.map((event) => event.type === 'response.output_text.delta' ? event.delta : '').join('')).toBe(textOf(whole))
    expect(events[0]?.type).toBe('response.created')
    expect(events.at(-1)).toMatchObject({ type: `response.${whole.status!}`, response: { usage: { output_tokens: whole.usage?.output_tokens } } })

    const texts: string[] = []
    const stream = client.responses.stream(ask).on('response.output_text.delta', ({ delta, snapshot }) => {
      texts.push(delta)
      expect(snapshot).toBe(texts.join(''))
    })
    const final = await stream.finalResponse()
    expect(texts.join('')).toBe(textOf(whole))
    expect(textOf(final)).toBe(textOf(whole))
    // What the client has put together from events is what the server keeps.
    const { output_parsed: _parsed, output, ...others } = final
    const stored = await client.responses.retrieve(final.id)
    expect(stored).toEqual({ ...others, output: output.map((item) => item.type === 'message' ? { ...item, content: item.content.map((part) => ({ ...part, parsed: undefined })) } : item) })
  })

  it('fit a zod type', async () => {
    const person = z.object({ name: z.string().max(12), age: z.int().min(0).max(120), isFriend: z.boolean() })
    const body = { ...ask, max_output_tokens: 400, text: { format: zodTextFormat(person, 'person') } }
    const { output_parsed: parsed, text } = await client.responses.parse(body)
    expect(person.parse(parsed)).toEqual(parsed)
    expect(text?.format).toMatchObject({ type: 'json_schema', name: 'person', strict: true, schema: { type: 'object' } })
    const streamed = await client.responses.stream(body).finalResponse()
    expect(person.parse(streamed.output_parsed)).toEqual(parsed)
  })

  it('tell log-probabilities', async () => {
    const { output: [item] } = await client.responses.create({ ...ask, include: ['message.output_text.logprobs'], top_logprobs: 2 })
    const part = item?.type === 'message' ? item.content[0] : undefined
    expect(part?.type === 'output_text' && part.logprobs?.every(({ top_logprobs: top }) => top.length === 2)).toBe(true)
  })

  it('go on from others, and count what they would read', async () => {
    const first = await client.responses.create(ask)
    const next = { model: 'test', input: 'And you?', previous_response_id: first.id }
    const counted = await client.responses.inputTokens.count(next)
    const second = await client.responses.create({ ...next, max_output_tokens: 8 })
    expect(second.usage?.input_tokens).toBe(counted.input_tokens)
    const whole = await client.responses.create({ model: 'test', input: [{ role: 'user', content: ask.input }, ...first.output as OpenAI.Responses.ResponseInputItem[], { role: 'user', content: 'And you?' }], max_output_tokens: 8 })
    expect(whole.usage?.input_tokens).toBe(counted.input_tokens)
  })

  it('are found, listed with their input, and deleted', async () => {
    const made = await client.responses.create({ ...ask, input: ['a', 'b', 'c', 'd', 'e'].map((content) => ({ role: 'user', content })) })
    expect(await client.responses.retrieve(made.id)).toEqual(made)
    const texts: unknown[] = []
    for await (const item of client.responses.inputItems.list(made.id, { limit: 2, order: 'asc', include: ['message.output_text.logprobs'] })) {
      if (item.type === 'message') texts.push(item.content[0])
    }
    expect(texts).toEqual(['a', 'b', 'c', 'd', 'e'].map((text) => ({ type: 'input_text', text })))
    await client.responses.delete(made.id)
    expect(await rejectionOf(client.responses.retrieve(made.id))).toMatchObject({ status: 404, code: 'response_not_found' })
  })

  it('collect in a conversation', async () => {
    const made = await client.conversations.create()
    const response = await client.responses.create({ ...ask, conversation: made.id })
    await client.conversations.items.create(made.id, { items: [{ type: 'message', role: 'user', content: 'One more thing' }] })
    const texts: string[] = []
    for await (const item of client.conversations.items.list(made.id, { order: 'asc', limit: 1 })) {
      if (item.type === 'message') texts.push(item.content.map((part) => 'text' in part ? part.text : '').join(''))
    }
    expect(texts).toEqual([ask.input, response.output_text, 'One more thing'])
    const item = await client.conversations.items.retrieve(response.output[0]!.id!, { conversation_id: made.id })
    expect(item).toEqual(response.output[0])
    expect(await client.conversations.items.delete(item.id!, { conversation_id: made.id })).toEqual(made)
    expect(await client.conversations.update(made.id, { metadata: { topic: 'x' } })).toEqual({ ...made, metadata: { topic: 'x' } })
    expect(await client.conversations.delete(made.id)).toEqual({ id: made.id, object: 'conversation.deleted', deleted: true })
    expect(await rejectionOf(client.conversations.retrieve(made.id))).toMatchObject({ status: 404, code: 'conversation_not_found' })
  })

  it('are made in the background, polled, streamed again and cancelled', async () => {
    let polled = await client.responses.create({ ...ask, background: true })
    while (polled.status === 'queued' || polled.status === 'in_progress') polled = await client.responses.retrieve(polled.id)
    expect(textOf(polled)).toBe(textOf(await client.responses.create(ask)))

    const events = await collect(await client.responses.create({ ...ask, background: true, stream: true }))
    const { response: { id } } = events[0] as OpenAI.Responses.ResponseCreatedEvent
    expect(await collect(await client.responses.retrieve(id, { stream: true, starting_after: 5 }))).toEqual(events.slice(6))
    const resumed = client.responses.stream({ response_id: id, starting_after: 5 })
    expect(textOf(await resumed.finalResponse())).toBe(textOf(polled))

    const long = await client.responses.create({ model: 'test', input: 'x', background: true, ...{ ignore_eos: true } })
    const cancelled = await client.responses.cancel(long.id)
    expect(cancelled).toMatchObject({ id: long.id, status: 'cancelled' })
    expect(await client.responses.cancel(long.id)).toEqual(cancelled)
    expect(await rejectionOf(client.responses.cancel((await client.responses.create(ask)).id))).toMatchObject({ status: 400 })
  })

  it('are refused by the name of what is wrong', async () => {
    const create = async (body: object) => await rejectionOf(client.responses.create({ ...ask, ...body }))
    expect(await create({ temperature: 3 })).toMatchObject({ status: 400, code: 'invalid_value', param: 'temperature', type: 'invalid_request_error', requestID: expect.stringMatching(/^req_/) })
    expect(await create({ model: 'gpt-nonsense' })).toMatchObject({ status: 404, code: 'model_not_found', param: 'model' })
    expect(await create({ tools: [{ type: 'web_search' }] })).toMatchObject({ status: 400, param: 'tools[0].type' })
    expect(await create({ input: 'word '.repeat(20_000) })).toMatchObject({ status: 400, code: 'context_length_exceeded', param: 'input' })
    expect(await create({ input: 'word '.repeat(20_000), stream: true })).toMatchObject({ status: 400, code: 'context_length_exceeded', param: 'input' })
    expect(await create({ tools: [{ type: 'function', name: 'x', parameters: { not: {} }, strict: true }] })).toMatchObject({ status: 400, param: expect.stringMatching(/^tools\[0\]\.parameters/) })
  })

  it('make the client throw when they fail half way', async () => {
    expect(await rejectionOf(client.responses.create({ ...ask, input: 'please !fail', stream: true }).then(collect))).toMatchObject({ code: 'engine_error' })
    const stream = await client.responses.create({ model: 'test', input: 'please !fail-later', stream: true, ...{ ignore_eos: true } })
    let text = ''
    const reading = (async () => { for await (const event of stream) if (event.type === 'response.output_text.delta') text += event.delta })()
    await expect(reading).rejects.toMatchObject({ code: 'engine_error', type: 'server_error' })
    expect(text).not.toBe('')
    await expect(client.responses.stream({ model: 'test', input: 'please !fail-later', ...{ ignore_eos: true } }).finalResponse()).rejects.toThrow()
  })
})

describe('tools in responses, through the openai client', () => {
  const chatTemplate = `{% for tool in tools or [] %}<tool_call>{{ tool.function.name }}{% endfor %}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}
{%- for call in m.tool_calls or [] %}<tool_call>{{ call.function.name }}{{ call.function.arguments | tojson }}{% endfor %}{{ m.tool_call_id }}<|end|>{% endfor %}<|assistant|>`
  const weather = zodResponsesFunction({ name: 'get_weather', parameters: z.object({ city: z.string() }) })
  const question = { role: 'user', content: 'What is the weather in Rome?' } as const

  /** Calls the tool, and says what came of it once it has its result. */
  const startScripted = async (): Promise<ResponsesServer> => await start(createScriptedInference(({ prompt }) => {
    const text = 'segments' in prompt ? prompt.segments.map((segment) => segment.text).join('') : ''
    const result = /<\|tool\|>(.*?)call_/s.exec(text)?.[1]
    const answer = result === undefined ? '<think>A tool.</think><tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>' : `It is ${result}.`
    return answerEvents(answer.match(/[^]{1,5}/g) ?? [])
  }, { model: { chatTemplate } }))

  it.each(['sent back', 'gone on from'])('make the round: call, result, answer; the call is %s', async (way) => {
    await using server = await startScripted()
    const body = { model: 'test', tools: [weather] }
    const first = await server.client.responses.parse({ ...body, input: [question] })
    const call = first.output.find((item) => item.type === 'function_call')!
    expect(call).toMatchObject({ name: 'get_weather', arguments: '{"city": "Rome"}', parsed_arguments: { city: 'Rome' }, status: 'completed' })
    expect(first.output_text).toBe('')
    const output = { type: 'function_call_output', call_id: call.call_id, output: 'sunny' } as const
    const second = await server.client.responses.create(way === 'sent back'
      ? { ...body, store: false, input: [question, ...first.output as OpenAI.Responses.ResponseInputItem[], output] }
      : { ...body, input: [output], previous_response_id: first.id })
    expect(second.output_text).toBe('It is sunny.')
  })

  it('make the round as a stream', async () => {
    await using server = await startScripted()
    const body = { model: 'test', tools: [weather] }
    const pieces: string[] = []
    const first = await server.client.responses.stream({ ...body, input: [question] })
      .on('response.function_call_arguments.delta', ({ delta, snapshot }) => {
        pieces.push(delta)
        expect(snapshot).toBe(pieces.join(''))
      })
      .finalResponse()
    expect(pieces.join('')).toBe('{"city": "Rome"}')
    expect(first.output.map(({ type }) => type)).toEqual(['reasoning', 'function_call'])
    const call = first.output.find((item) => item.type === 'function_call')!
    expect(call.parsed_arguments).toEqual({ city: 'Rome' })
    const second = await server.client.responses.stream({ ...body, previous_response_id: first.id, input: [{ type: 'function_call_output', call_id: call.call_id, output: 'sunny' }] }).finalResponse()
    expect(second.output_text).toBe('It is sunny.')
  })
})
