import fc from 'fast-check'
import OpenAI from 'openai'
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { isLongRun } from '../support/long-run.ts'
import { strictSchemas } from '../support/random-schemas.ts'
import { validatorOf } from '../support/schema-oracle.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'

const person = z.object({
  name: z.string().max(12),
  email: z.email().max(24),
  born: z.iso.date(),
  age: z.int().min(0).max(120),
  tags: z.array(z.enum(['friend', 'colleague'])).max(2),
  address: z.object({ street: z.string().max(12), zip: z.string().regex(/^\d{5}$/) }).nullable(),
  contact: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('phone'), number: z.string().max(8) }),
    z.object({ kind: z.literal('none') })
  ])
})

describe.each([
  ['demo', 'drawbridge-demo', 0, []],
  ['fake', 'fake', 100, ['--fake-step-ms', '0', '--fake-decode-token-ms', '0', '--fake-prefill-token-ms', '0']]
])('structured output of the %s model', (reference, model, firstSchema, flags) => {
  let server: ServerProcess
  let client: OpenAI
  const messages: OpenAI.Chat.ChatCompletionMessageParam[] = [{ role: 'user', content: 'Tell me about Ann as JSON.' }]

  beforeAll(async () => {
    server = await startServer(['--model', reference, '--slots', '8', '--context-size', '1024', ...flags])
    client = new OpenAI({ baseURL: server.baseURL, apiKey: 'none', maxRetries: 0 })
  })
  afterAll(async () => { await server[Symbol.asyncDispose]() })

  it('fits random strict schemas, or ends by length: 100, and others than the other model\'s', async () => {
    const all = fc.sample(strictSchemas, { numRuns: 200, seed: 20 })
    const schemas = isLongRun ? all : all.slice(firstSchema, firstSchema + 100)
    let complete = 0
    const next = schemas.entries()
    const worker = async (): Promise<void> => {
      for (const [index, schema] of next) {
        const { choices: [choice] } = await client.chat.completions.create({
          model,
          messages,
          temperature: 1,
          seed: index,
          max_tokens: 200,
          response_format: { type: 'json_schema', json_schema: { name: 'random', strict: true, schema } }
        })
        const text = choice!.message.content!
        if (choice!.finish_reason === 'length') continue
        expect(choice!.finish_reason).toBe('stop')
        const validate = validatorOf(schema)
        if (!validate(JSON.parse(text))) throw new Error(`${text} does not fit ${JSON.stringify(schema)}`)
        complete++
      }
    }
    await Promise.all(Array.from({ length: 8 }, worker))
    // Otherwise nothing was shown.
    expect(complete).toBeGreaterThan(0.4 * schemas.length)
  })

  it('is parsed by the client with zod', async () => {
    const completion = await client.chat.completions.parse({ model, messages, seed: 1, max_tokens: 700, response_format: zodResponseFormat(person, 'person') })
    expect(completion.choices[0]!.finish_reason).toBe('stop')
    expect(person.safeParse(completion.choices[0]!.message.parsed).success).toBe(true)
  })

  it('is parsed by the client with zod from a stream', async () => {
    const stream = client.chat.completions.stream({ model, messages, seed: 2, max_tokens: 700, response_format: zodResponseFormat(person, 'person') })
    const completion = await stream.finalChatCompletion()
    expect(person.safeParse(completion.choices[0]!.message.parsed).success).toBe(true)
  })

  it('is the form of answers that are no calls, beside tools', async () => {
    const place = z.object({ city: z.enum(['Rome', 'Paris']) })
    const tools = [zodFunction({ name: 'look_up', parameters: place })]
    const kinds: string[] = []
    for (let seed = 0; seed < 8; seed++) {
      const { choices: [choice] } = await client.chat.completions.parse({
        model, messages, tools, seed, temperature: 1.5, max_tokens: 200, response_format: zodResponseFormat(place, 'place')
      })
      const calls = choice!.message.tool_calls ?? []
      for (const call of calls) expect(place.safeParse(call.function.parsed_arguments).success).toBe(true)
      if (calls.length === 0) expect(place.safeParse(choice!.message.parsed).success).toBe(true)
      else expect(choice!.message.content).toBe(null)
      kinds.push(calls.length === 0 ? 'content' : 'calls')
    }
    expect(kinds).toContain('content')
  })

  it('is a JSON object in JSON mode, and cut off by max_tokens', async () => {
    const { choices } = await client.chat.completions.create({ model, messages, seed: 3, n: 4, max_tokens: 40, response_format: { type: 'json_object' } })
    for (const { message: { content }, finish_reason: reason } of choices) {
      expect(content).toMatch(/^\{/)
      if (reason === 'stop') expect(typeof JSON.parse(content!)).toBe('object')
      else expect(reason).toBe('length')
    }
  })

  it('is one of the choices, a text that an expression matches, and both from the old endpoint', async () => {
    const ask = async (outputs: object): Promise<string> => {
      const body = { model, prompt: 'Which colour is the sky?', max_tokens: 50, structured_outputs: outputs }
      const completion = await client.completions.create(body)
      expect(completion.choices[0]!.finish_reason).toBe('stop')
      return completion.choices[0]!.text
    }
    expect(['red', 'blue', 'bluish']).toContain(await ask({ choice: ['red', 'blue', 'bluish'] }))
    expect(await ask({ regex: '[A-Z][a-z]{2,5}, \\d{1,3}%' })).toMatch(/^[A-Z][a-z]{2,5}, \d{1,3}%$/)
  })
})
