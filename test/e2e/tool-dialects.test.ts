import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import fc from 'fast-check'
import { OpenAI } from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isLongRun } from '../support/long-run.ts'
import { strictSchemas } from '../support/random-schemas.ts'
import { validatorOf } from '../support/schema-oracle.ts'
import { type ServerProcess, startServer } from '../support/server-process.ts'

type Message = OpenAI.Chat.ChatCompletionMessageParam

const demoFile = fileURLToPath(new URL('../../models/demo/drawbridge-demo-q8_0.gguf', import.meta.url))
/** Knows who said what, and nothing of tools. */
const plainTemplate = `{%- for message in messages %}
{%- if message.role in ['system', 'user', 'assistant'] %}{{ '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{%- endif %}`

/** The demo model with another chat template, which a comment makes as long as its own. */
function writeDemoWith (template: string, file: string): void {
  const bytes = readFileSync(demoFile)
  const key = 'tokenizer.chat_template'
  const typeAt = bytes.indexOf(key) + key.length
  const length = Number(bytes.readBigUInt64LE(typeAt + 4))
  const padding = length - Buffer.byteLength(template) - '{##}'.length
  bytes.write(`${template}{#${' '.repeat(padding)}#}`, typeAt + 12)
  writeFileSync(file, bytes)
}

const weather: OpenAI.Chat.ChatCompletionFunctionTool = {
  type: 'function',
  function: {
    name: 'get_weather',
    description: 'Get the weather in a city',
    parameters: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'], additionalProperties: false }
  }
}
const time: OpenAI.Chat.ChatCompletionFunctionTool = { type: 'function', function: { ...weather.function, name: 'get_time', description: 'Get the time in a city' } }
const tools = [weather, time]
const question: Message = { role: 'user', content: 'What is the weather in Paris?' }
const sunny = '{"temperature": 21, "condition": "sunny"}'

describe('a model whose template knows nothing of tools', () => {
  const folder = mkdtempSync(join(tmpdir(), 'drawbridge-dialects-'))
  let server: ServerProcess
  let client: OpenAI
  beforeAll(async () => {
    const file = join(folder, 'plain.gguf')
    writeDemoWith(plainTemplate, file)
    server = await startServer(['--model', file, '--alias', 'plain', '--tool-dialect', 'generic'])
    client = new OpenAI({ baseURL: server.baseURL, apiKey: 'none', maxRetries: 0 })
  })
  afterAll(async () => {
    await server[Symbol.asyncDispose]()
    rmSync(folder, { recursive: true })
  })

  const ask = async (messages: readonly Message[], isStream: boolean, options: Partial<OpenAI.Chat.ChatCompletionCreateParamsNonStreaming> = {}) => {
    const body = { model: 'plain', messages: [...messages], tools, temperature: 0, ...options }
    const completion = isStream
      ? await client.chat.completions.stream({ ...body, stream: true }).finalChatCompletion()
      : await client.chat.completions.create({ ...body, stream: false })
    return completion.choices[0]!
  }

  it.each([false, true])('makes the round: call, result, answer (as a stream: %s)', async (isStream) => {
    const first = await ask([question], isStream)
    expect(first).toMatchObject({
      finish_reason: 'tool_calls',
      message: { content: null, tool_calls: [{ type: 'function', function: { name: 'get_weather', arguments: expect.any(String) } }] }
    })
    const [call] = first.message.tool_calls!
    if (call?.type !== 'function') throw new Error('Only functions are called')
    expect(JSON.parse(call.function.arguments)).toEqual({ city: 'Paris' })
    const { role, content, tool_calls: calls } = first.message
    const second = await ask([question, { role, content, tool_calls: calls! }, { role: 'tool', tool_call_id: call.id, content: sunny }], isStream)
    expect(second).toMatchObject({ finish_reason: 'stop', message: { content: expect.stringContaining('21') } })
    expect(second.message.tool_calls ?? []).toEqual([])
  })

  it.each([false, true])('calls what it must (as a stream: %s)', async (isStream) => {
    const choice = await ask([{ role: 'user', content: 'Hello!' }], isStream, { tool_choice: { type: 'function', function: { name: 'get_time' } }, parallel_tool_calls: false, max_tokens: 200 })
    expect(choice.finish_reason).toBe('tool_calls')
    const [call] = choice.message.tool_calls!
    expect(call).toMatchObject({ function: { name: 'get_time' } })
    expect(JSON.parse((call as { function: { arguments: string } }).function.arguments)).toEqual({ city: expect.any(String) })
  })
})

describe.each(['hermes', 'qwen-coder', 'glm'])('the demo model made to call as %s', (dialect) => {
  let server: ServerProcess
  let client: OpenAI
  beforeAll(async () => {
    server = await startServer(['--model', 'demo', '--tool-dialect', dialect, '--slots', '4', '--context-size', '2048'])
    client = new OpenAI({ baseURL: server.baseURL, apiKey: 'none', maxRetries: 0 })
  })
  afterAll(async () => { await server[Symbol.asyncDispose]() })

  it('has arguments that fit random strict schemas, or ends by length', async () => {
    const count = isLongRun ? 25 : 15
    let complete = 0
    let refused = 0
    const next = fc.sample(strictSchemas, { numRuns: 200, seed: 21 }).filter((schema) => JSON.stringify(schema).length < 1500).slice(0, count).entries()
    const worker = async (): Promise<void> => {
      for (const [index, parameters] of next) {
        const name = 'record'
        const choice = await client.chat.completions.create({
          model: 'drawbridge-demo',
          messages: [question],
          temperature: 1,
          seed: index,
          max_tokens: 200,
          tools: [{ type: 'function', function: { name, strict: true, parameters } }],
          tool_choice: { type: 'function', function: { name } },
          parallel_tool_calls: false
        }).then(({ choices }) => choices[0]!, (error: unknown) => {
          // Formats without quotes cannot hold every schema; they say so.
          if (!(error instanceof OpenAI.BadRequestError) || dialect === 'hermes') throw error
          expect(error).toMatchObject({ code: 'unsupported_value', param: expect.stringMatching(/^tools\[0\]/) })
          refused++
          return null
        })
        if (choice === null || choice.finish_reason === 'length') continue
        expect(choice.finish_reason).toBe('tool_calls')
        const [call] = choice.message.tool_calls!
        if (call?.type !== 'function') throw new Error('Only functions are called')
        if (!validatorOf(parameters)(JSON.parse(call.function.arguments))) throw new Error(`${call.function.arguments} does not fit ${JSON.stringify(parameters)}`)
        complete++
      }
    }
    await Promise.all(Array.from({ length: 4 }, worker))
    // Otherwise nothing was shown.
    expect(complete).toBeGreaterThan(count / 4)
    expect(refused).toBeLessThan(count / 3)
  })
})
