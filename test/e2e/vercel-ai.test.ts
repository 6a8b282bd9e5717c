import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText, type LanguageModel, Output, stepCountIs, streamText, tool } from 'ai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type ContractServer, startDemoServer } from '../support/contract-servers.ts'

const weatherInParis = /^It is 21 degrees .*sunny in Paris\.$/

describe('the demo model, through ai and @ai-sdk/openai-compatible', () => {
  let server: ContractServer
  let model: LanguageModel
  beforeAll(async () => {
    server = await startDemoServer({})
    model = createOpenAICompatible({ name: 'drawbridge', baseURL: `${server.origin}/v1`, includeUsage: true, supportsStructuredOutputs: true })(server.model)
  })
  afterAll(async () => await server[Symbol.asyncDispose]())

  const askForWeather = (asked: unknown[]) => ({
    model,
    prompt: 'What is the weather in Paris?',
    temperature: 0,
    stopWhen: stepCountIs(3),
    tools: {
      get_weather: tool({
        description: 'Get the weather in a city',
        inputSchema: z.object({ city: z.string() }),
        execute: (input) => {
          asked.push(input)
          // A text goes to the model as it is. With JSON of its own, which has no blanks, the client asks too much of this model.
          return '{"temperature": 21, "condition": "sunny"}'
        }
      })
    }
  })

  it('makes the round with tools: call, result, answer', async () => {
    const asked: unknown[] = []
    const { text, steps } = await generateText(askForWeather(asked))
    expect(text).toMatch(weatherInParis)
    expect(steps.map(({ finishReason }) => finishReason)).toEqual(['tool-calls', 'stop'])
    expect(asked).toEqual([{ city: 'Paris' }])
  })

  it('makes the round as a stream', async () => {
    const asked: unknown[] = []
    const stream = streamText(askForWeather(asked))
    let text = ''
    for await (const delta of stream.textStream) text += delta
    expect(text).toMatch(weatherInParis)
    expect(await stream.finishReason).toBe('stop')
    expect((await stream.totalUsage).outputTokens).toBeGreaterThan(5)
    expect(asked).toEqual([{ city: 'Paris' }])
  })

  it('writes objects that fit their schema', async () => {
    const schema = z.object({ city: z.enum(['Paris', 'Rome']), degrees: z.number().int().min(0).max(40) })
    const { output } = await generateText({ model, prompt: 'What is the weather in Paris?', output: Output.object({ schema }), temperature: 1.5, seed: 1 })
    expect(schema.safeParse(output).success).toBe(true)
  })

  it('reasons apart from its answer', async () => {
    const ask = { model, system: '/think', prompt: 'What is the capital of France?', temperature: 0 }
    const { text, reasoningText, usage } = await generateText(ask)
    expect(text).toBe('The capital of France is Paris.')
    expect(reasoningText).toMatch(/\w/)
    expect(usage.outputTokenDetails.reasoningTokens).toBeGreaterThan(3)
    const stream = streamText(ask)
    expect([await stream.text, await stream.reasoningText]).toEqual([text, reasoningText])
  })
})
