import { setTimeout as delay } from 'node:timers/promises'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { ContractServer, StartContractServer } from './contract-servers.ts'
import { rejectionOf as rejectionWith } from './rejection-of.ts'

const key = 'sk-test-key'

const connect = ({ origin }: ContractServer, options: { apiKey?: string, maxRetries?: number } = {}): OpenAI =>
  new OpenAI({ baseURL: `${origin}/v1`, apiKey: key, maxRetries: 0, ...options })

const question = (text = 'Hello, how are you?'): OpenAI.Chat.ChatCompletionMessageParam[] => [{ role: 'user', content: text }]

const rejectionOf = async (promise: PromiseLike<unknown>) => await rejectionWith<InstanceType<typeof OpenAI.APIError>>(promise, OpenAI.APIError)

/** Sums a metric over its labels. */
async function readMetric ({ origin }: ContractServer, name: string): Promise<number> {
  const text = await (await fetch(`${origin}/metrics`)).text()
  return text.split('\n').filter((line) => line.startsWith(`${name}{`)).reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

async function until (condition: () => Promise<boolean>): Promise<void> {
  while (!await condition()) await delay(10)
}

/** An answer that goes on until somebody ends it or the context is full. */
async function startLongStream (client: OpenAI, model: string, signal: AbortSignal) {
  const body = { model, messages: question(), stream: true, ignore_eos: true } as const
  const stream = await client.chat.completions.create(body, { signal })
  const iterator = stream[Symbol.asyncIterator]()
  await iterator.next()
  return { stream, iterator }
}

/**
 * What every server of this project does for the unchanged `openai` client.
 * @param start starts a server with the given settings and waits until it is ready
 */
export function describeOpenAiContract (name: string, start: StartContractServer): void {
  describe(`${name}, through the openai client`, () => {
    let server: ContractServer
    let client: OpenAI
    let model: string
    beforeAll(async () => {
      server = await start({})
      client = connect(server)
      model = server.model
    })
    afterAll(async () => await server[Symbol.asyncDispose]())

    const chat = async (options: Partial<OpenAI.Chat.ChatCompletionCreateParamsNonStreaming> = {}) =>
      await client.chat.completions.create({ model, messages: question(), max_tokens: 24, temperature: 0, ...options })
    const textOf = (completion: OpenAI.Chat.ChatCompletion, index = 0): string => completion.choices[index]?.message.content ?? ''

    it('lists and finds its model', async () => {
      const models = await client.models.list()
      expect(models.data.length).toBeGreaterThan(0)
      const [first] = models.data
      expect(await client.models.retrieve(first?.id ?? '')).toEqual(first)
    })

    it('chats', async () => {
      const { data, request_id: requestId } = await client.chat.completions.create({ model, messages: question(), max_tokens: 24 }).withResponse()
      expect(requestId).toMatch(/^req_/)
      expect(data.object).toBe('chat.completion')
      expect(data.choices).toHaveLength(1)
      expect(data.choices[0]?.message.role).toBe('assistant')
      expect(textOf(data)).not.toBe('')
      expect(['stop', 'length']).toContain(data.choices[0]?.finish_reason)
      expect(data.usage?.prompt_tokens).toBeGreaterThan(0)
      expect(data.usage?.completion_tokens).toBeGreaterThan(0)
      expect(data.usage?.total_tokens).toBe((data.usage?.prompt_tokens ?? 0) + (data.usage?.completion_tokens ?? 0))
    })

    it('streams the same text as it sends in one piece, with usage at the end', async () => {
      const whole = await chat()
      const stream = await client.chat.completions.create({
        model, messages: question(), max_tokens: 24, temperature: 0, stream: true, stream_options: { include_usage: true }
      })
      const chunks: OpenAI.Chat.ChatCompletionChunk[] = []
      for await (const chunk of stream) chunks.push(chunk)
      expect(chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')).toBe(textOf(whole))
      expect(chunks[0]?.choices[0]?.delta.role).toBe('assistant')
      expect(chunks.flatMap((chunk) => chunk.choices).map((choice) => choice.finish_reason).filter((reason) => reason !== null))
        .toEqual([whole.choices[0]?.finish_reason])
      expect(chunks.at(-1)?.choices).toEqual([])
      expect(chunks.at(-1)?.usage).toMatchObject({ prompt_tokens: whole.usage?.prompt_tokens, completion_tokens: whole.usage?.completion_tokens })
      expect(new Set(chunks.map((chunk) => chunk.id)).size).toBe(1)
    })

    it('sends no usage chunk unless asked', async () => {
      const stream = await client.chat.completions.create({ model, messages: question(), max_tokens: 4, stream: true })
      for await (const chunk of stream) {
        expect(chunk.choices).toHaveLength(1)
        expect(chunk.usage).toBeUndefined()
      }
    })

    it('works with the client\'s stream helper', async () => {
      const runner = client.chat.completions.stream({ model, messages: question(), max_tokens: 24, temperature: 0 })
      const final = await runner.finalChatCompletion()
      expect(textOf(final)).toBe(textOf(await chat()))
    })

    it('says how much of a prompt it had cached', async () => {
      const long = question('Tell me about the weather, the sea, the sky and everything between them, please. '.repeat(3))
      await chat({ messages: long, max_tokens: 2 })
      const again = await chat({ messages: long, max_tokens: 2 })
      expect(again.usage?.prompt_tokens_details?.cached_tokens).toBeGreaterThan(0)
      expect(again.usage?.prompt_tokens_details?.cached_tokens).toBeLessThan(again.usage?.prompt_tokens ?? 0)
    })

    it('gives n choices', async () => {
      const completion = await chat({ n: 2, temperature: 1, seed: 7 })
      expect(completion.choices.map(({ index }) => index)).toEqual([0, 1])
      expect(textOf(completion, 0)).not.toBe(textOf(completion, 1))
      // Choice 0 has the request's own seed.
      expect(textOf(completion, 0)).toBe(textOf(await chat({ temperature: 1, seed: 7 })))
    })

    it('keeps to the limit of tokens', async () => {
      const completion = await chat({ max_tokens: undefined as never, max_completion_tokens: 3, ...{ ignore_eos: true } })
      expect(completion.usage?.completion_tokens).toBe(3)
      expect(completion.choices[0]?.finish_reason).toBe('length')
    })

    it('stops before a stop text', async () => {
      const whole = textOf(await chat())
      const stop = whole.slice(3, 6)
      const stopped = await chat({ stop: [stop, 'a text that does not come'] })
      expect(textOf(stopped)).toBe(whole.slice(0, whole.indexOf(stop)))
      expect(stopped.choices[0]?.finish_reason).toBe('stop')
    })

    it('repeats itself with the same seed, and not with others', async () => {
      const texts = await Promise.all([1, 1, 2, 3, 4].map(async (seed) => textOf(await chat({ seed, temperature: 1.5 }))))
      expect(texts[0]).toBe(texts[1])
      expect(new Set(texts).size).toBeGreaterThan(1)
    })

    it('reports log-probabilities', async () => {
      const completion = await chat({ logprobs: true, top_logprobs: 3, max_tokens: 5, ...{ ignore_eos: true } })
      const content = completion.choices[0]?.logprobs?.content ?? []
      expect(content).toHaveLength(5)
      for (const { token, logprob, top_logprobs: top } of content) {
        expect(logprob).toBeLessThanOrEqual(0)
        expect(top).toHaveLength(3)
        expect(top.map((candidate) => candidate.logprob)).toEqual(top.map((candidate) => candidate.logprob).sort((a, b) => b - a))
        // Greedy draws the most likely token.
        expect(top[0]?.token).toBe(token)
      }
      const bytes = content.flatMap((item) => item.bytes ?? [])
      expect(new TextDecoder().decode(Uint8Array.from(bytes))).toBe(textOf(completion))
    })

    it('obeys logit_bias', async () => {
      const { tokens } = await (await fetch(`${server.origin}/v1/tokenize`, {
        method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify({ content: ' the' })
      })).json() as { tokens: number[] }
      const forced = await chat({ logit_bias: { [String(tokens.at(-1))]: 100 }, max_tokens: 4, logprobs: true, ...{ ignore_eos: true } })
      const drawn = forced.choices[0]?.logprobs?.content?.map(({ token }) => token) ?? []
      expect(drawn).toHaveLength(4)
      expect(new Set(drawn).size).toBe(1)
      expect(textOf(await chat({ max_tokens: 4 }))).not.toBe(textOf(forced))
    })

    it('completes texts, lists of texts and tokens', async () => {
      const options = { model, max_tokens: 8, temperature: 0 }
      const whole = await client.completions.create({ ...options, prompt: ['Once upon a time', 'Hello'], echo: true })
      expect(whole.object).toBe('text_completion')
      expect(whole.choices.map(({ index }) => index)).toEqual([0, 1])
      expect(whole.choices[0]?.text.startsWith('Once upon a time')).toBe(true)
      const texts = ['', '']
      for await (const chunk of await client.completions.create({ ...options, prompt: ['Once upon a time', 'Hello'], echo: true, stream: true })) {
        for (const choice of chunk.choices) texts[choice.index] += choice.text
      }
      expect(texts).toEqual(whole.choices.map(({ text }) => text))
      const byTokens = await client.completions.create({ ...options, prompt: [5, 6, 7] })
      expect(byTokens.usage?.prompt_tokens).toBe(3)
    })

    it('reports log-probabilities of completions in the old form', async () => {
      const completion = await client.completions.create({ model, prompt: 'Hello', max_tokens: 3, temperature: 0, logprobs: 2, ...{ ignore_eos: true } })
      const logprobs = completion.choices[0]?.logprobs
      expect(logprobs?.tokens).toHaveLength(3)
      expect(logprobs?.token_logprobs).toHaveLength(3)
      expect(logprobs?.text_offset?.[0]).toBe(0)
      expect(Object.keys(logprobs?.top_logprobs?.[0] ?? {}).length).toBeGreaterThanOrEqual(2)
    })

    it('frees the slot of a client that leaves mid-stream', async () => {
      const leaving = new AbortController()
      // Numbers of an engine process come a little later than what they count: unless it is seen in its slot, an old 0 would do.
      const isSeenInSlot = async (): Promise<boolean> => {
        while (await readMetric(server, 'drawbridge_slots_busy') === 0) {
          if (await readMetric(server, 'drawbridge_requests') === 0) return false
          await delay(10)
        }
        return true
      }
      let { stream } = await startLongStream(client, model, leaving.signal)
      // On a slow machine it may be at its end before it is seen.
      while (!await isSeenInSlot()) ({ stream } = await startLongStream(client, model, leaving.signal))
      stream.controller.abort()
      await until(async () => await readMetric(server, 'drawbridge_slots_busy') === 0)
      expect(await readMetric(server, 'drawbridge_requests')).toBe(0)
    })

    it('refuses a request that is wrong: 400', async () => {
      const error = await rejectionOf(chat({ temperature: 3 }))
      expect(error).toBeInstanceOf(OpenAI.BadRequestError)
      expect(error).toMatchObject({ status: 400, code: 'invalid_value', param: 'temperature', type: 'invalid_request_error', requestID: expect.stringMatching(/^req_/) })
      expect(await rejectionOf(chat({ tools: [{ type: 'function', function: { name: 'not a name' } }] }))).toMatchObject({ status: 400, code: 'invalid_value', param: 'tools[0].function.name' })
      expect(await rejectionOf(chat({ max_tokens: 2, ...{ nonsense: 1 } }))).toMatchObject({ status: 400, code: 'unknown_parameter', param: 'nonsense' })
    })

    it('refuses a prompt that does not fit: 400, with the numbers', async () => {
      const error = await rejectionOf(chat({ messages: question('word '.repeat(20_000)) }))
      expect(error).toBeInstanceOf(OpenAI.BadRequestError)
      expect(error.code).toBe('context_length_exceeded')
      expect(error.message).toMatch(/\d+ tokens/)
      const streamed = await rejectionOf(client.chat.completions.create({ model, messages: question('word '.repeat(20_000)), stream: true }))
      expect(streamed.code).toBe('context_length_exceeded')
    })

    it('does not know other models: 404', async () => {
      const error = await rejectionOf(chat({ model: 'gpt-nonsense' }))
      expect(error).toBeInstanceOf(OpenAI.NotFoundError)
      expect(error).toMatchObject({ code: 'model_not_found', param: 'model' })
      expect(await rejectionOf(client.models.retrieve('a/b:c'))).toBeInstanceOf(OpenAI.NotFoundError)
      expect(await rejectionOf(client.moderations.create({ model, input: 'x' }))).toMatchObject({ status: 404, code: 'route_not_found' })
      expect(await rejectionOf(client.embeddings.create({ model, input: 'x' }))).toMatchObject({ status: 400, code: 'unsupported_value', param: 'model' })
    })
  })

  describe(`${name} with keys and limits, through the openai client`, () => {
    it('refuses clients without a key: 401', async () => {
      await using server = await start({ apiKey: key })
      const error = await rejectionOf(connect(server, { apiKey: 'sk-wrong' }).models.list())
      expect(error).toBeInstanceOf(OpenAI.AuthenticationError)
      expect(error).toMatchObject({ status: 401, code: 'invalid_api_key' })
      expect((await connect(server).models.list()).data.length).toBeGreaterThan(0)
    })

    it('refuses bodies that are too large: 413', async () => {
      await using server = await start({ bodyLimitBytes: 4096 })
      const error = await rejectionOf(connect(server).chat.completions.create({ model: server.model, messages: question('x'.repeat(5000)) }))
      expect(error).toMatchObject({ status: 413, code: 'body_too_large' })
      expect(error.message).toContain('4096')
    })

    it('refuses what its queue cannot hold: 429, and says when to come back', async () => {
      await using server = await start({ slots: 1, maxQueue: 1 })
      const client = connect(server)
      const body = { model: server.model, messages: question(), max_tokens: 200, ignore_eos: true }
      const results = await Promise.allSettled(Array.from({ length: 12 }, async () => await client.chat.completions.create(body)))
      // One in the slot, one in the queue; more only as fast as the slot becomes free.
      expect(results.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThanOrEqual(1)
      const errors = results.flatMap((result) => result.status === 'rejected' ? [result.reason as InstanceType<typeof OpenAI.APIError>] : [])
      expect(errors.length).toBeGreaterThan(0)
      for (const error of errors) {
        expect(error).toBeInstanceOf(OpenAI.RateLimitError)
        expect(error).toMatchObject({ status: 429, code: 'queue_full', type: 'rate_limit_error' })
        expect(Number(error.headers?.get('retry-after-ms'))).toBeGreaterThan(0)
        expect(error.headers?.get('retry-after')).toMatch(/^\d+$/)
      }
    })

    it('brings a client that retries, as it does by default, to its answer', async () => {
      await using server = await start({ slots: 1, maxQueue: 1 })
      const client = new OpenAI({ baseURL: `${server.origin}/v1`, apiKey: key, maxRetries: 10 })
      const body = { model: server.model, messages: question(), max_tokens: 20, ignore_eos: true }
      const answers = await Promise.all(Array.from({ length: 6 }, async () => await client.chat.completions.create(body)))
      expect(answers.map((answer) => answer.usage?.completion_tokens)).toEqual([20, 20, 20, 20, 20, 20])
    })

    it('gives up on those who wait too long: 503, and says when to come back', async () => {
      await using server = await start({ slots: 1, queueTimeoutMs: 30 })
      const client = connect(server)
      const leaving = new AbortController()
      // On a busy machine the first one may wait too long itself; it asks again.
      const running = await startLongStream(connect(server, { maxRetries: 20 }), server.model, leaving.signal)
      const error = await rejectionOf(client.chat.completions.create({ model: server.model, messages: question(), stream: true }))
      expect(error).toBeInstanceOf(OpenAI.InternalServerError)
      expect(error).toMatchObject({ status: 503, code: 'queue_timeout', type: 'service_unavailable_error' })
      expect(error.headers?.get('retry-after')).toMatch(/^\d+$/)
      running.stream.controller.abort()
    })
  })
}
