import { setTimeout as delay } from 'node:timers/promises'
import Anthropic from '@anthropic-ai/sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ContractServer, StartContractServer } from './contract-servers.ts'
import { metric } from './server-process.ts'
import { rejectionOf as rejectionWith } from './rejection-of.ts'

const key = 'sk-test-key'

const connect = ({ origin }: ContractServer, options: { apiKey?: string, maxRetries?: number } = {}): Anthropic =>
  new Anthropic({ baseURL: origin, apiKey: key, maxRetries: 0, ...options })

const question = (text = 'Hello, how are you?'): Anthropic.MessageParam[] => [{ role: 'user', content: text }]

const rejectionOf = async (promise: PromiseLike<unknown>) => await rejectionWith<InstanceType<typeof Anthropic.APIError>>(promise, Anthropic.APIError)

export const messageTextOf = ({ content }: Pick<Anthropic.Message, 'content'>): string => content.map((block) => block.type === 'text' ? block.text : '').join('')

/**
 * What every server of this project does for the unchanged `@anthropic-ai/sdk` client.
 * @param start starts a server with the given settings and waits until it is ready
 */
export function describeAnthropicContract (name: string, start: StartContractServer): void {
  describe(`${name}, through the anthropic client`, () => {
    let server: ContractServer
    let client: Anthropic
    let model: string
    beforeAll(async () => {
      server = await start({})
      client = connect(server)
      model = server.model
    })
    afterAll(async () => await server[Symbol.asyncDispose]())

    // Greedy, though the client's types no longer know of it.
    const body = (changes: Partial<Anthropic.MessageCreateParamsNonStreaming> = {}) => ({ model, messages: question(), max_tokens: 24, ...{ temperature: 0 }, ...changes })
    const create = async (changes: Partial<Anthropic.MessageCreateParamsNonStreaming> = {}) => await client.messages.create(body(changes))
    const inputTokensOf = ({ usage }: Anthropic.Message): number =>
      usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0)

    it('lists and finds its model', async () => {
      const ids: string[] = []
      for await (const { id } of client.models.list({ limit: 1 })) ids.push(id)
      expect(ids).toContain(model)
      expect(await client.models.retrieve(model)).toMatchObject({ type: 'model', id: model, max_input_tokens: expect.any(Number) })
    })

    it('creates a message', async () => {
      const { data, request_id: requestId } = await client.messages.create(body()).withResponse()
      expect(requestId).toMatch(/^req_/)
      expect(data).toMatchObject({ type: 'message', role: 'assistant', model, stop_sequence: null })
      expect(messageTextOf(data)).not.toBe('')
      expect(['end_turn', 'max_tokens']).toContain(data.stop_reason)
      expect(data.usage.output_tokens).toBeGreaterThan(0)
    })

    it('streams the same message as it sends in one piece', async () => {
      const whole = await create()
      const types: string[] = []
      let text = ''
      for await (const event of await client.messages.create({ ...body(), stream: true })) {
        types.push(event.type)
        if (event.type === 'content_block_delta' && event.delta.type === 'text_delta') text += event.delta.text
      }
      expect(text).toBe(messageTextOf(whole))
      expect(types.filter((type) => type !== 'content_block_delta')).toEqual(['message_start', 'content_block_start', 'content_block_stop', 'message_delta', 'message_stop'])

      let helped = ''
      const final = await client.messages.stream(body()).on('text', (delta) => { helped += delta }).finalMessage()
      expect(helped).toBe(text)
      const { id: _, usage, ...others } = whole
      expect(final).toMatchObject(others)
      expect(inputTokensOf(final)).toBe(inputTokensOf(whole))
      expect(final.usage.output_tokens).toBe(usage.output_tokens)
      expect(await client.messages.stream(body()).finalText()).toBe(text)
    })

    it('counts the tokens that it reads', async () => {
      const prompt = { model, messages: question('Tell me about the sea, the sky and everything between them, please.'), system: 'Be kind.' }
      const { input_tokens: count } = await client.messages.countTokens(prompt)
      expect(inputTokensOf(await create(prompt))).toBe(count)
      const again = await create(prompt)
      expect(inputTokensOf(again)).toBe(count)
      expect(again.usage.cache_read_input_tokens).toBeGreaterThan(0)
    })

    it('keeps to the limit of tokens', async () => {
      expect(await create({ max_tokens: 2 })).toMatchObject({ stop_reason: 'max_tokens', usage: { output_tokens: 2 } })
    })

    it('stops before a stop text and tells it', async () => {
      const whole = messageTextOf(await create())
      const stop = whole.slice(3, 6)
      const stopped = await create({ stop_sequences: ['a text that does not come', stop] })
      expect(messageTextOf(stopped)).toBe(whole.slice(0, whole.indexOf(stop)))
      expect(stopped).toMatchObject({ stop_reason: 'stop_sequence', stop_sequence: stop })
    })

    it('goes on with what the assistant has begun', async () => {
      const whole = messageTextOf(await create({ max_tokens: 12 }))
      const middle = whole.indexOf(' ', whole.length / 3)
      const begun: Anthropic.MessageParam = { role: 'assistant', content: whole.slice(0, middle) }
      const fromThere = await create({ messages: [...question(), begun] })
      const { input_tokens: count } = await client.messages.countTokens({ model, messages: [...question(), begun] })
      expect(inputTokensOf(fromThere)).toBe(count)
      // A new turn would have had its frame's tokens too.
      expect(count).toBeLessThan((await client.messages.countTokens({ model, messages: [...question(), begun, ...question('')] })).input_tokens)
      expect(messageTextOf(fromThere)).not.toBe('')
    })

    it('lets a client leave its stream', async () => {
      const stream = client.messages.stream({ ...body({ max_tokens: 2000 }), ...{ temperature: 1 } })
      stream.once('text', () => stream.abort())
      await expect(stream.done()).rejects.toBeInstanceOf(Anthropic.APIUserAbortError)
      while (await metric(server.origin, 'drawbridge_slots_busy') > 0 || await metric(server.origin, 'drawbridge_requests') > 0) await delay(10)
    })

    it('refuses a request that is wrong: 400', async () => {
      const error = await rejectionOf(client.messages.create({ ...body(), ...{ temperature: 3 } }))
      expect(error).toBeInstanceOf(Anthropic.BadRequestError)
      expect(error).toMatchObject({ status: 400, type: 'invalid_request_error', requestID: expect.stringMatching(/^req_/) })
      expect(error.message).toContain('temperature')
      const image: Anthropic.ContentBlockParam = { type: 'image', source: { type: 'url', url: 'https://example.com/x.png' } }
      expect((await rejectionOf(create({ messages: [{ role: 'user', content: [image] }] }))).message).toContain('messages[0].content[0]')
    })

    it('refuses a prompt that does not fit: 400, with the numbers', async () => {
      const error = await rejectionOf(create({ messages: question('word '.repeat(20_000)) }))
      expect(error).toBeInstanceOf(Anthropic.BadRequestError)
      expect(error.message).toMatch(/messages: prompt is too long.* \d+ tokens/)
      expect(await rejectionOf(client.messages.stream(body({ messages: question('word '.repeat(20_000)) })).finalMessage())).toMatchObject({ status: 400 })
    })

    it('does not know other models and paths: 404', async () => {
      const error = await rejectionOf(create({ model: 'claude-nonsense' }))
      expect(error).toBeInstanceOf(Anthropic.NotFoundError)
      expect(error).toMatchObject({ status: 404, type: 'not_found_error' })
      expect(await rejectionOf(client.models.retrieve('claude-nonsense'))).toMatchObject({ type: 'not_found_error' })
      expect(await rejectionOf(client.messages.batches.list())).toMatchObject({ status: 404, type: 'not_found_error' })
    })
  })

  describe(`${name} with keys and limits, through the anthropic client`, () => {
    it('refuses clients without a key: 401, and bodies that are too large: 413', async () => {
      await using server = await start({ apiKey: key, bodyLimitBytes: 4096 })
      const error = await rejectionOf(connect(server, { apiKey: 'sk-wrong' }).models.list())
      expect(error).toBeInstanceOf(Anthropic.AuthenticationError)
      expect(error).toMatchObject({ status: 401, type: 'authentication_error' })
      const large = await rejectionOf(connect(server).messages.create({ model: server.model, max_tokens: 5, messages: question('x'.repeat(5000)) }))
      expect(large).toMatchObject({ status: 413, type: 'request_too_large' })
      expect(large.message).toContain('4096')
      expect((await connect(server).models.list()).data.length).toBeGreaterThan(0)
    })

    it('refuses what its queue cannot hold: 429, and brings a client that retries to its answer', async () => {
      await using server = await start({ slots: 1, maxQueue: 1 })
      const ask = async (client: Anthropic) => await client.messages.create({ model: server.model, max_tokens: 100, messages: question() })
      const impatient = connect(server)
      const results = await Promise.allSettled(Array.from({ length: 12 }, async () => await ask(impatient)))
      const errors = results.flatMap((result) => result.status === 'rejected' ? [result.reason as unknown] : [])
      expect(errors.length).toBeGreaterThan(0)
      for (const error of errors) {
        expect(error).toBeInstanceOf(Anthropic.RateLimitError)
        expect(error).toMatchObject({ status: 429, type: 'rate_limit_error' })
        expect(Number((error as InstanceType<typeof Anthropic.APIError>).headers?.get('retry-after-ms'))).toBeGreaterThan(0)
      }
      const patient = connect(server, { maxRetries: 20 })
      const answers = await Promise.all(Array.from({ length: 6 }, async () => await ask(patient)))
      expect(answers.map(({ type }) => type)).toEqual(Array(6).fill('message'))
    })
  })
}
