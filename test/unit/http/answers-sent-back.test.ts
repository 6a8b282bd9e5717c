import OpenAI from 'openai'
import { zodFunction, zodResponseFormat } from 'openai/helpers/zod'
import { afterEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { FastifyInstance } from 'fastify'
import { answerEvents, createScriptedInference } from '../../support/scripted-inference.ts'
import { buildTestApp, listen } from '../../support/test-app.ts'
import { createTestHost } from '../../support/test-host.ts'

const apps: FastifyInstance[] = []
afterEach(async () => {
  for (const app of apps.splice(0)) {
    app.server.closeAllConnections()
    await app.close()
  }
})

const chatTemplate = `{% for tool in tools or [] %}<tool_call>{{ tool.function.name }}{% endfor %}{% for m in messages %}<|{{ m.role }}|>{{ m.content }}
{%- for call in m.tool_calls or [] %}[{{ call.function.name }}{{ call.function.arguments | tojson }}]{% endfor %}{% if m.reasoning_content %}({{ m.reasoning_content }}){% endif %}<|end|>{% endfor %}<|assistant|>`
const call = '<tool_call>\n{"name": "get_weather", "arguments": {"city": "Rome"}}\n</tool_call>'
const user = { role: 'user', content: 'Hi' } as const
const weather = zodFunction({ name: 'get_weather', parameters: z.object({ city: z.string() }) })
const model = 'test-model'

/** A client of a server whose answers are this text, and the prompts that the server has seen. */
async function connect (text: string) {
  const inference = createScriptedInference(({ sampling }) => answerEvents(text.match(/[^]{1,4}/g) ?? [], { withLogprobs: sampling.logprobs !== null }), { model: { chatTemplate } })
  const { app } = await buildTestApp([createTestHost(inference)])
  apps.push(app)
  const { origin } = await listen(app)
  const promptOf = (index: number): string => {
    const prompt = inference.requests[index]?.prompt
    return prompt === undefined || 'tokens' in prompt ? '' : prompt.segments.map((segment) => segment.text).join('')
  }
  return { client: new OpenAI({ baseURL: `${origin}/v1`, apiKey: 'none', maxRetries: 0 }), promptOf }
}

type Message = OpenAI.Chat.ChatCompletionMessage
type Asking = (client: OpenAI) => Promise<Message | undefined>

const fromStream: Asking = async (client) => await client.chat.completions.stream({ model, messages: [user], tools: [weather] }).finalMessage()

const askings: readonly (readonly [string, Asking])[] = [
  ['in one piece', async (client) => (await client.chat.completions.create({ model, messages: [user], tools: [weather] })).choices[0]?.message],
  ['with log-probabilities', async (client) => (await client.chat.completions.create({ model, messages: [user], tools: [weather], logprobs: true })).choices[0]?.message],
  ['from the stream helper', fromStream],
  ['parsed', async (client) => (await client.chat.completions.parse({ model, messages: [user], tools: [weather] })).choices[0]?.message]
]

const answers = [
  ['a text', 'Hello.', 'Hello.'],
  ['nothing', '', ''],
  ['a call', call, '[get_weather{"city": "Rome"}]'],
  ['a text and calls', `I look.\n${call}\n${call}`, 'I look.[get_weather{"city": "Rome"}][get_weather{"city": "Rome"}]'],
  ['a text after reasoning', '<think>Hm.</think>Hello.', 'Hello.(Hm.)'],
  ['a call after reasoning', `<think>Hm.</think>${call}`, '[get_weather{"city": "Rome"}](Hm.)'],
  ['reasoning alone', '<think>Hm.', '(Hm.)']
] as const

describe('an answer that the client sends back as it got it', () => {
  it.each(answers.flatMap(([name, text, shown]) => askings.map(([way, ask]) => [name, way, text, shown, ask] as const)))(
    'is understood: %s, %s', async (_name, _way, text, shown, ask) => {
      const { client, promptOf } = await connect(text)
      const message = await ask(client)
      if (message === undefined) throw new Error('There is no message')
      const results = (message.tool_calls ?? []).map(({ id }) => ({ role: 'tool', tool_call_id: id, content: 'sun' }) as const)
      const again = await client.chat.completions.create({ model, messages: [user, message, ...results, user], tools: [weather] })
      expect(again.object).toBe('chat.completion')
      // Of members that OpenAI does not have, its stream helper keeps the last piece.
      const sent = ask === fromStream ? shown.replace('(Hm.)', '(m.)') : shown
      expect(promptOf(1)).toBe(`<tool_call>get_weather<|user|>Hi<|end|><|assistant|>${sent}<|end|>${results.map(() => '<|tool|>sun<|end|>').join('')}<|user|>Hi<|end|><|assistant|>`)
    })

  it('is understood when the client has parsed its content', async () => {
    const { client, promptOf } = await connect('{"city":"Rome"}')
    const { choices } = await client.chat.completions.parse({ model, messages: [user], response_format: zodResponseFormat(z.object({ city: z.string() }), 'place') })
    const message = choices[0]?.message
    expect(message?.parsed).toEqual({ city: 'Rome' })
    await client.chat.completions.create({ model, messages: [user, message as Message, user] })
    expect(promptOf(1)).toBe('<|user|>Hi<|end|><|assistant|>{"city":"Rome"}<|end|><|user|>Hi<|end|><|assistant|>')
  })

  it('is understood with the members that other servers add', async () => {
    const { client, promptOf } = await connect('Hello.')
    const other = {
      role: 'assistant',
      content: 'Found.',
      refusal: null,
      audio: null,
      function_call: null,
      annotations: [{ type: 'url_citation', url_citation: { url: 'https://example.org', title: 'x', start_index: 0, end_index: 1 } }],
      tool_calls: []
    } as unknown as Message
    await client.chat.completions.create({ model, messages: [user, other, user] })
    expect(promptOf(0)).toBe('<|user|>Hi<|end|><|assistant|>Found.<|end|><|user|>Hi<|end|><|assistant|>')
  })
})
