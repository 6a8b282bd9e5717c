import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { metric, type ServerProcess, startServer, waitUntil } from '../support/server-process.ts'

const questions = [
  'Hello!', 'Who are you?', 'Count from 1 to 20.', 'Tell me a story.', 'What is the capital of France?', 'Name three animals.',
  'What is 3 plus 4?', 'Spell the word "tree".', 'What is a slot?', 'What is the opposite of hot?', 'Say it in capitals: good dog',
  'List five colours.', 'What is Drawbridge?', 'What day comes after Monday?', 'Tell me a joke.', 'What can you do?'
]

/** 64 prompts with some sharing of system messages, as a team's programs have them. */
const prompts = Array.from({ length: 64 }, (_, index): OpenAI.ChatCompletionMessageParam[] => {
  const question = { role: 'user' as const, content: questions[index % questions.length] ?? '' }
  if (index < 16) return [question]
  if (index < 32) return [{ role: 'system', content: 'You are a helpful assistant.' }, question]
  if (index < 48) return [{ role: 'user', content: 'My name is Ada.' }, { role: 'assistant', content: 'Hello, Ada!' }, question]
  return [{ role: 'system', content: 'Your name is Robin.' }, question]
})

describe('many users on few slots', () => {
  let server: ServerProcess
  let client: OpenAI
  let model: string

  beforeAll(async () => {
    // The last of the crowd waits for all the others, however long they take here.
    server = await startServer(['--slots', '4', '--context-size', '512', '--threads', '1', '--queue-timeout', '10m'])
    client = new OpenAI({ baseURL: server.baseURL, apiKey: 'none', maxRetries: 0 })
    model = (await client.models.list()).data[0]?.id ?? ''
  })
  afterAll(async () => { await server?.[Symbol.asyncDispose]() })

  const stream = async (messages: OpenAI.ChatCompletionMessageParam[], signal?: AbortSignal): Promise<string> => {
    const chunks = await client.chat.completions.create(
      { model, messages, stream: true, temperature: 0, max_tokens: 96 }, signal === undefined ? {} : { signal })
    let text = ''
    for await (const chunk of chunks) text += chunk.choices[0]?.delta.content ?? ''
    return text
  }

  it('answers 64 concurrent streams on 4 slots, each as it answers alone', async () => {
    const crowd = await Promise.all(prompts.map((messages) => stream(messages)))
    const alone: string[] = []
    for (const messages of prompts) alone.push(await stream(messages))
    expect(crowd.every((text) => text.length > 0)).toBe(true)
    expect(crowd).toEqual(alone)
  })

  it('has no slot busy for clients that left, and answers those that stayed', async () => {
    const clients = await Promise.allSettled(Array.from({ length: 200 }, async (_, index) => {
      const leaver = new AbortController()
      const chunks = await client.chat.completions.create({
        model,
        messages: [{ role: 'user', content: 'Count from 1 to 100.' }],
        stream: true,
        temperature: 0,
        max_tokens: 40
      }, { signal: leaver.signal })
      let text = ''
      for await (const chunk of chunks) {
        text += chunk.choices[0]?.delta.content ?? ''
        // Every other client leaves at its first text, in the middle of its answer.
        if (index % 2 === 0 && text !== '') leaver.abort()
      }
      return text
    }))
    const stayed = clients.filter((_, index) => index % 2 === 1)
    expect(stayed.filter(({ status }) => status === 'rejected')).toEqual([])
    expect(new Set(stayed.map((result) => result.status === 'fulfilled' ? result.value : '')).size).toBe(1)
    await waitUntil(async () => await metric(server.origin, 'drawbridge_slots_busy') === 0, 'no busy slot')
    expect(await metric(server.origin, 'vllm:num_requests_running')).toBe(0)
    expect(await metric(server.origin, 'vllm:num_requests_waiting')).toBe(0)
  })
})
