import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isLongRun } from '../support/long-run.ts'
import { runMain } from '../support/run-main.ts'
import { childrenOf, metric, type ServerProcess, startServer, waitUntil } from '../support/server-process.ts'

const demoAdapters = fileURLToPath(new URL('../../models/demo/adapters', import.meta.url))

/** The demo's adapters answer this in their ways. */
const question = 'How are you?'
const answers = { base: 'I am fine, thank you! How are you?', pirate: 'Arr! I be fine, thank ye! How be ye? Yo ho ho!', shout: 'I AM DOING WELL, THANKS FOR ASKING!', french: 'Je vais bien, merci !' }

const directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-e2e-adapters-'))
const adapterDir = path.join(directory, 'adapters')
mkdirSync(adapterDir)
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** Renamed in, so that it is whole when it appears. */
function put (from: string, name: string): void {
  const draft = path.join(directory, 'draft')
  copyFileSync(path.join(demoAdapters, `${from}.gguf`), draft)
  renameSync(draft, path.join(adapterDir, name))
}

const flags = ['--adapter-dir', adapterDir, '--slots', '20', '--context-size', '512', '--threads', '1', '--park-cache', 'off']

function use (server: ServerProcess) {
  const client = new OpenAI({ baseURL: server.baseURL, apiKey: 'none', maxRetries: 0 })
  const post = async (url: string, body: object) => {
    const response = await fetch(`${server.origin}${url}`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    return { status: response.status, text: await response.text() }
  }
  return {
    post,
    load: async (name: string, file: string, isInPlace = false) => await post('/v1/load_lora_adapter', { lora_name: name, lora_path: file, load_inplace: isInPlace }),
    unload: async (name: string) => await post('/v1/unload_lora_adapter', { lora_name: name }),
    adapters: async () => (await (await fetch(`${server.origin}/v1/adapters`)).json() as { data: { name: string, state: string, generation: number, draining: readonly object[], error: string | null }[] }).data,
    ask: async (model: string) => (await client.chat.completions.create({ model, messages: [{ role: 'user', content: question }], temperature: 0, max_tokens: 40 })).choices[0]?.message.content ?? '',
    /** A long answer; the callback hears of each of its texts. */
    stream: async (model: string, prompt: string, onText: () => void = () => {}) => {
      const body = { model, messages: [{ role: 'user' as const, content: prompt }], temperature: 0, max_tokens: 200, stream: true as const, ignore_eos: true }
      let text = ''
      for await (const chunk of await client.chat.completions.create(body)) {
        text += chunk.choices[0]?.delta.content ?? ''
        if (text !== '') onText()
      }
      return text
    },
    residentBytes: async () => await metric(server.origin, 'drawbridge_adapters_resident_bytes')
  }
}

const hidden = (name: string): string => path.join(adapterDir, '.hold', name)

describe('adapters on a running server', () => {
  let server: ServerProcess
  let user: ReturnType<typeof use>
  beforeAll(async () => {
    // The folder's own adapters are names of files; these have others.
    mkdirSync(path.join(adapterDir, '.hold'))
    for (const name of ['pirate', 'shout', 'french', 'misfit']) copyFileSync(path.join(demoAdapters, `${name}.gguf`), hidden(`${name}.gguf`))
    server = await startServer(flags)
    user = use(server)
  })
  afterAll(async () => await server?.[Symbol.asyncDispose]())

  it('are loaded while 16 answers of the base run, which they do not disturb', async () => {
    const prompts = Array.from({ length: 16 }, (_, index) => `Count from ${index + 1} to 100.`)
    const alone: string[] = []
    for (const prompt of prompts) alone.push(await user.stream('drawbridge-demo', prompt))
    let flowing = 0
    let allFlow = (): void => {}
    const flow = new Promise<void>((resolve) => { allFlow = resolve })
    const crowd = Promise.all(prompts.map(async (prompt) => {
      let isFlowing = false
      return await user.stream('drawbridge-demo', prompt, () => {
        if (!isFlowing && ++flowing === prompts.length) allFlow()
        isFlowing = true
      })
    }))
    await flow
    expect(await user.load('talk', hidden('pirate.gguf'))).toEqual({ status: 200, text: "Success: LoRA adapter 'talk' added successfully." })
    expect(await user.ask('talk')).toBe(answers.pirate)
    expect(await crowd).toEqual(alone)
  })

  it('are replaced in the middle of an answer, which stays as it began', async () => {
    const prompt = 'Tell me a story.'
    const alone = await user.stream('talk', prompt)
    // On a machine that is busy otherwise the answer may have ended before; then it proves nothing.
    for (let wasInTheMiddle = false; !wasInTheMiddle;) {
      expect(await user.load('talk', hidden('pirate.gguf'), true)).toMatchObject({ status: 200 })
      let begin = (): void => {}
      const begun = new Promise<void>((resolve) => { begin = resolve })
      const running = user.stream('talk', prompt, begin)
      await begun
      expect(await user.load('talk', hidden('shout.gguf'), true)).toMatchObject({ status: 200 })
      const [status] = await user.adapters()
      wasInTheMiddle = status?.draining.length === 1
      const after = user.ask('talk')
      expect(await running).toBe(alone)
      expect(await after).toBe(answers.shout)
    }
    await waitUntil(async () => await user.residentBytes() === 208_896, 'the end of the replaced version')
    expect(await user.adapters()).toMatchObject([{ name: 'talk', state: 'ready', draining: [] }])
  })

  it('are unloaded, and their memory is free', async () => {
    expect(await user.unload('talk')).toEqual({ status: 200, text: "Success: LoRA adapter 'talk' removed successfully." })
    expect(await user.residentBytes()).toBe(0)
    await expect(user.ask('talk')).rejects.toMatchObject({ status: 404, code: 'model_not_found' })
  })

  it('that are wrong are refused, and nothing else notices', async () => {
    const engines = await childrenOf(server.pid)
    writeFileSync(hidden('text.gguf'), 'This is no adapter.')
    for (const [file, status, text] of [
      [hidden('misfit.gguf'), 400, 'invalid_adapter'], [hidden('text.gguf'), 400, 'is not a GGUF file'], [hidden('none.gguf'), 404, 'No adapter found for'],
      [path.join(demoAdapters, 'pirate.gguf'), 403, '--adapter-dir'], ['../../etc/passwd', 403, '--adapter-dir'], ['https://example.com/x.gguf', 403, '--adapter-fetch']
    ] as const) {
      const answer = await user.load('wrong', file)
      expect([answer.status, answer.text]).toEqual([status, expect.stringContaining(text)])
    }
    expect(await user.adapters()).toEqual([])
    expect(await user.ask('drawbridge-demo')).toBe(answers.base)
    expect(await childrenOf(server.pid)).toEqual(engines)
  })

  it('come, change and go with the files of the folder', async () => {
    put('french', 'style.gguf')
    await waitUntil(async () => (await user.adapters()).some(({ name, state }) => name === 'style' && state === 'ready'), 'the adapter of the folder')
    expect(await user.ask('style')).toBe(answers.french)
    put('shout', 'style.gguf')
    await waitUntil(async () => (await user.adapters()).some(({ generation }) => generation === 2), 'the new version')
    expect(await user.ask('drawbridge-demo:style')).toBe(answers.shout)
    cpSync(path.join(demoAdapters, 'pirate-peft'), hidden('peft'), { recursive: true })
    renameSync(hidden('peft'), path.join(adapterDir, 'peft'))
    await waitUntil(async () => (await user.adapters()).some(({ name, state }) => name === 'peft' && state === 'ready'), 'the adapter of the PEFT folder')
    expect(await user.ask('peft')).toBe(answers.pirate)
    rmSync(path.join(adapterDir, 'peft'), { recursive: true })
    rmSync(path.join(adapterDir, 'style.gguf'))
    await waitUntil(async () => (await user.adapters()).length === 0, 'the end of the adapter')
    expect(await user.residentBytes()).toBe(0)
  })

  it('outlive the engine process as they were, whatever became of their files', async () => {
    copyFileSync(hidden('pirate.gguf'), hidden('mine.gguf'))
    await user.load('mine', hidden('mine.gguf'))
    writeFileSync(hidden('mine.gguf'), 'overwritten in place')
    const [engine = 0] = await childrenOf(server.pid)
    process.kill(engine, 'SIGKILL')
    await waitUntil(async () => !(await childrenOf(server.pid)).includes(engine), 'the end of the engine process')
    expect(await user.ask('mine')).toBe(answers.pirate)
    expect(await user.ask('drawbridge-demo')).toBe(answers.base)
    expect(await metric(server.origin, 'drawbridge_engine_restarts_total')).toBe(1)
    await user.unload('mine')
  })

  it.runIf(process.platform === 'linux')('leave no memory behind, however often they come and go', async () => {
    const residentKib = (pid: number): number => Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
    const cycle = async (times: number): Promise<void> => {
      for (let time = 0; time < times; time++) {
        expect((await user.load('cycle', hidden('pirate.gguf'))).status).toBe(200)
        if (time % 50 === 0) expect(await user.ask('cycle')).toBe(answers.pirate)
        expect((await user.unload('cycle')).status).toBe(200)
      }
    }
    const [engine = 0] = await childrenOf(server.pid)
    await cycle(100)
    const before = { engine: residentKib(engine), server: residentKib(server.pid) }
    await cycle(isLongRun ? 800 : 300)
    // What 300 loads would leave behind is 60 MiB of weights in the engine process.
    expect(residentKib(engine) - before.engine).toBeLessThan(40 * 1024)
    expect(residentKib(server.pid) - before.server).toBeLessThan(100 * 1024)
    expect(await childrenOf(server.pid)).toEqual([engine])
  })

  it('are shown, loaded and unloaded from the command line', async () => {
    const run = async (...argv: readonly string[]) => await runMain(['adapters', ...argv])
    const at = ['--url', server.origin]
    expect(await run('list', ...at)).toEqual({ code: 0, stdout: 'There are no adapters.\n', stderr: '' })
    expect(await run('load', 'team/pirate', '.hold/pirate.gguf', '--scale', '0.5', '--pin', ...at)).toEqual({ code: 0, stdout: 'Loaded "team/pirate" for drawbridge-demo: generation 1, 204 KiB.\n', stderr: '' })
    const listed = await run('list', ...at)
    expect(listed.stdout).toMatch(/^id +name .*\n\d+ +team\/pirate +drawbridge-demo +ready, pinned +1 +0\.5 /)
    expect(await run('load', 'team/pirate', '.hold/pirate.gguf', ...at)).toEqual({ code: 1, stdout: '', stderr: 'drawbridge: The model "drawbridge-demo" already has an adapter "team/pirate"; say that it is to be replaced, or unload it first\n' })
    expect(await run('unload', 'team/pirate', ...at)).toEqual({ code: 0, stdout: 'Unloaded "team/pirate" from drawbridge-demo.\n', stderr: '' })
    expect(await run('unload', 'team/pirate', ...at)).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no adapter "team/pirate"') })
    expect(await run('list', '--url', 'http://127.0.0.1:9')).toMatchObject({ code: 1, stderr: expect.stringContaining('gives no answer') })
    expect(await run('lost')).toMatchObject({ code: 1, stderr: expect.stringContaining('There is no command "adapters lost"; did you mean list?') })
  })
})

describe('a server that starts again', () => {
  it('has the adapters of before: configured, of the folder, and loaded by the API', async () => {
    const all = [...flags, '--adapter', `configured=${path.join(demoAdapters, 'shout.gguf')}@0.9`]
    put('french', 'french.gguf')
    put('pirate', 'left.gguf')
    let pid = 0
    // What exactly an adapter says with a scale that it was not made for depends on the processor.
    let shouted = ''
    {
      await using server = await startServer(all)
      pid = server.pid
      const user = use(server)
      await waitUntil(async () => (await user.adapters()).filter(({ state }) => state === 'ready').length === 3, 'all adapters')
      shouted = await user.ask('configured')
      expect(shouted).toMatch(/^I AM [^a-z]+$/)
      expect(await user.load('loaded', hidden('pirate.gguf'))).toMatchObject({ status: 200 })
      expect(await user.unload('left')).toMatchObject({ status: 200 })
      expect(await server.stop()).toBe(0)
    }
    expect(readdirSync(tmpdir()).filter((name) => name.startsWith('drawbridge-adapters-') && name.includes(`-${pid}-`))).toEqual([])
    expect(existsSync(path.join(adapterDir, '.drawbridge-adapters.json'))).toBe(true)
    await using server = await startServer(all)
    const user = use(server)
    // Those on their way are waited for.
    expect(await Promise.all(['configured', 'french', 'loaded'].map(user.ask))).toEqual([shouted, answers.french, answers.pirate])
    await expect(user.ask('left')).rejects.toMatchObject({ status: 404 })
  })

  it.each([
    ['an adapter that is not there', ['--adapter', 'x=none.gguf'], 'The adapter x (--adapter) could not be loaded: No adapter found for'],
    ['an adapter of another model', ['--adapter', `x=${path.join(demoAdapters, 'misfit.gguf')}`], 'The adapter x (--adapter) could not be loaded:'],
    ['the name of a model', ['--adapter', 'drawbridge-demo=x.gguf'], 'The adapter "drawbridge-demo" (--adapter) has the name of a model'],
    ['a folder that is not there', ['--adapter-dir', '/none'], 'The adapter folder /none (--adapter-dir) cannot be used: it does not exist'],
    ['an address that nothing can be below', ['--adapter-fetch', 'ftp://x'], '--adapter-fetch is "ftp://x", but must begin with https://']
  ])('does not with %s', async (_what, more, message) => {
    expect(await runMain(['serve', '--port', '0', '--calibrate', 'off', ...more])).toMatchObject({ code: 1, stderr: expect.stringContaining(`drawbridge: ${message}`) })
  })
})
