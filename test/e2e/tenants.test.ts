import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { metric, type ServerProcess, startServer } from '../support/server-process.ts'

const configuration = `
slots: 2
contextSize: 1024
threads: 1
tenants:
  - { name: script, keys: [k-script] }
  - { name: colleague, keys: [k-colleague] }
  - { name: nightly, keys: [k-nightly], priority: batch }
`

/** As long as answers get, so that nobody's slot is free by itself. */
const long = { temperature: 0, max_tokens: 300, ignore_eos: true } as const

describe('tenants on few slots', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-tenants-'))
  let server: ServerProcess
  let model: string
  const clientOf = (key: string): OpenAI => new OpenAI({ baseURL: server.baseURL, apiKey: key, maxRetries: 0 })

  beforeAll(async () => {
    const file = path.join(directory, 'drawbridge.yaml')
    writeFileSync(file, configuration, { mode: 0o600 })
    server = await startServer(['--config', file, '--api-key', 'k-operator'])
    model = (await clientOf('k-operator').models.list()).data[0]?.id ?? ''
  })
  afterAll(async () => {
    await server?.[Symbol.asyncDispose]()
    rmSync(directory, { recursive: true, force: true })
  })

  const preemptions = async (): Promise<number> => await metric(server.origin, 'vllm:num_preemptions_total', {}, 'k-operator')

  const textOf = async (key: string, question: string, rest: object = long, onText: () => void = () => {}): Promise<string> => {
    const chunks = await clientOf(key).chat.completions.create({
      model, messages: [{ role: 'user', content: question }], stream: true, ...rest
    } as OpenAI.ChatCompletionCreateParamsStreaming)
    let text = ''
    for await (const chunk of chunks) {
      text += chunk.choices[0]?.delta.content ?? ''
      if (text !== '') onText()
    }
    return text
  }

  /** Starts two long answers, and waits until both flow. */
  const fill = async (key: string): Promise<readonly Promise<string>[]> => {
    const running: Promise<string>[] = []
    await Promise.all(['Count from 1 to 100.', 'Tell me a story.'].map(async (question) =>
      await new Promise<void>((resolve) => { running.push(textOf(key, question, long, resolve)) })))
    return running
  }

  it.each([
    ['a script that has all of them', 'k-script'],
    ['batch work', 'k-nightly']
  ])('takes a slot of %s for a colleague, whose victim loses not a letter', async (_, key) => {
    const questions = ['Count from 1 to 100.', 'Tell me a story.']
    const alone: string[] = []
    for (const question of questions) alone.push(await textOf(key, question))
    const before = await preemptions()

    const running = await fill(key)
    let isAnyDone = false
    for (const answer of running) answer.then(() => { isAnyDone = true }, () => {})
    expect(await textOf('k-colleague', 'What is the capital of France?', { temperature: 0, max_tokens: 12 })).toContain('Paris')
    // Without preemption the colleague had waited for one of them.
    expect(isAnyDone).toBe(false)
    expect(await Promise.all(running)).toEqual(alone)
    expect(await preemptions()).toBe(before + 1)
  })

  it('takes none of equals for each other', async () => {
    const before = await preemptions()
    const running = [textOf('k-script', 'Hello!', { ...long, max_tokens: 60 }), textOf('k-operator', 'Hello!', { ...long, max_tokens: 60 })]
    expect(await textOf('k-colleague', 'Who are you?', { temperature: 0, max_tokens: 5 })).not.toBe('')
    await Promise.all(running)
    expect(await preemptions()).toBe(before)
  })
})
