import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { ScriptedServer } from '../../../bench/known-answer/scripted-server.ts'
import { BenchServer } from '../../../src/bench/bench-server.ts'
import { parseOptions, type BenchOptions } from '../../../src/bench/parse-options.ts'

afterEach(() => { vi.restoreAllMocks() })

const { signal } = new AbortController()

function optionsOf (argv: readonly string[], environment: NodeJS.ProcessEnv = {}): BenchOptions {
  const command = parseOptions(argv, environment)
  if (command.type !== 'run') throw new Error('These are no options of a run')
  return command.options
}

async function connect (options: BenchOptions, index = 0): Promise<BenchServer> {
  return await BenchServer.connect(options.servers[index]!, options, signal)
}

describe('BenchServer', () => {
  const two = ['http://a/v1', '--vs', 'http://b/v1']

  it.each<[readonly string[], NodeJS.ProcessEnv, number, string]>([
    [['--api-key', 'sk-1…'], {}, 0, '--api-key (or OPENAI_API_KEY) has U+2026 as its 5. character, which HTTP headers cannot carry'],
    [[], { OPENAI_API_KEY: 'sk-1\n' }, 0, '--api-key (or OPENAI_API_KEY) has U+000A as its 5. character, which HTTP headers cannot carry'],
    [[...two, '--vs-api-key', '😀'], { OPENAI_API_KEY: 'sk-1' }, 1, '--vs-api-key has U+1F600 as its 1. character, which HTTP headers cannot carry'],
    [['--tenant', 'alice=sk-1', '--tenant', 'bob=env:BOB'], { BOB: 'sk\u0000' }, 0, 'The key of --tenant bob has U+0000 as its 3. character, which HTTP headers cannot carry'],
    [['--header', 'x-team: Größe', '--header', 'x-name: Łukasz'], {}, 0, '--header "x-name" has U+0141 as its 1. character, which HTTP headers cannot carry']
  ])('asks nothing with what cannot be sent: %j', async (argv, environment, index, message) => {
    const fetched = vi.spyOn(globalThis, 'fetch')
    await expect(connect(optionsOf(argv, environment), index)).rejects.toThrow(message)
    expect(fetched).not.toHaveBeenCalled()
  })

  it('asks nothing with a header that can have no such name', async () => {
    const options = { ...optionsOf(['--model', 'm']), headers: { 'x team': 'a' } }
    await expect(connect(options)).rejects.toThrow('--header "x team" is no name of an HTTP header')
  })

  it('sends the headers and keys that can be sent', async () => {
    await using server = await ScriptedServer.start(() => ({ ttftMs: 0, gapMs: 0, tokens: 2 }))
    using target = await connect(optionsOf([server.url, '--api-key', 'schlüssel', '--header', 'x-team: Größe\t1']))
    expect(target.models).toEqual(['scripted'])
    const answer = await target.send({ body: { prompt: 'Hello' }, thinkMs: 0 }, { model: 'scripted', tenant: null }, signal)
    expect(answer).toMatchObject({ text: 'word word ', outputTokens: 2, failure: null })
    expect(server.keys).toEqual(['Bearer schlüssel'])
  })

  it('sends the fields of a model with its requests alone', async () => {
    const bodies: unknown[] = []
    const listener = createServer((request, response) => {
      let text = ''
      request.on('data', (chunk: Buffer) => { text += chunk.toString() })
      request.on('end', () => {
        bodies.push(JSON.parse(text))
        response.writeHead(200, { 'content-type': 'text/event-stream' }).end('data: [DONE]\n\n')
      })
    }).listen(0, '127.0.0.1')
    await once(listener, 'listening')
    const url = `http://127.0.0.1:${(listener.address() as AddressInfo).port}`
    using target = await connect(optionsOf([url, '--models', 'a,b,c', '--model-body', 'a={"lora":[{"id":0,"scale":1}]}', '--model-body', 'b={"model":"base"}']))
    for (const model of target.models) await target.send({ body: { prompt: 'Hello' }, thinkMs: 0 }, { model, tenant: null }, signal)
    listener.close()
    expect(bodies).toMatchObject([{ model: 'a', lora: [{ id: 0, scale: 1 }] }, { model: 'base' }, { model: 'c' }])
    expect(bodies[1]).not.toHaveProperty('lora')
    expect(bodies[2]).not.toHaveProperty('lora')
  })
})
