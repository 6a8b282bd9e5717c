import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable, Writable } from 'node:stream'
import { pathToFileURL } from 'node:url'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { greedySampling } from '../../src/domain/sampling.ts'
import type { EngineSpec } from '../../src/inference/protocol.ts'
import { engineProcessEntry } from '../../src/models/engine-child.ts'
import type { ProcessHost, ProcessHostOptions } from '../../src/models/process-host.ts'
import { collectEvents, generationRequest, neverAborted, textOf } from '../support/generation.ts'
import { demoEngineOptions } from '../contract/inference/demo-model.ts'
import { createTestHost } from '../support/process-host.ts'
import { patience } from '../support/patience.ts'

/** Its slots hold so much that an endless answer does not end while a slow machine looks at it. */
const fake = (options: Extract<EngineSpec, { backend: 'fake' }>['options'] = {}): EngineSpec =>
  ({ backend: 'fake', options: { slotsPerLane: 8, contextSize: 100_000, stepMs: 2, ...options }, faults: { markers: true } })

describe('an engine process and its host', () => {
  let folder: string
  const hosts: ProcessHost[] = []
  beforeEach(async () => { folder = await mkdtemp(join(tmpdir(), 'drawbridge-')) })
  afterEach(async () => {
    for (const host of hosts.splice(0)) await host[Symbol.asyncDispose]()
    await rm(folder, { recursive: true })
  })

  const start = (options: Partial<ProcessHostOptions> = {}): ProcessHost => {
    const host = createTestHost({ spec: fake(), ...options })
    hosts.push(host)
    return host
  }
  const startReady = async (options: Partial<ProcessHostOptions> = {}): Promise<ProcessHost> => {
    const host = start(options)
    await host.ready(neverAborted)
    return host
  }
  const run = (host: ProcessHost, prompt: string, changes: Parameters<typeof generationRequest>[1] = {}) =>
    collectEvents(host.inference.generate(generationRequest(prompt, changes), neverAborted))
  /** An endless stream, once it has text; the promise settles at its end. */
  const stream = async (host: ProcessHost, prompt: string, changes: Parameters<typeof generationRequest>[1] = {}) => {
    const events = host.inference.generate(
      generationRequest(prompt, { maxTokens: null, ...changes }), neverAborted)[Symbol.asyncIterator]()
    for (let result = await events.next(); result.done !== true && result.value.type !== 'text'; result = await events.next());
    return { end: (async () => { while ((await events.next()).done !== true); })() }
  }
  /** A process that runs this code instead; `engine` in it is the address of the real one. */
  const script = async (code: string): Promise<string> => {
    const path = join(folder, 'engine.mjs')
    await writeFile(path, `const engine = ${JSON.stringify(pathToFileURL(engineProcessEntry()).href)}\n${code}`)
    return path
  }
  const kill = (host: ProcessHost, signal: NodeJS.Signals = 'SIGKILL'): void => {
    if (host.pid === null) throw new Error('There is no engine process')
    process.kill(host.pid, signal)
  }
  /** A host whose process is dead and whose next one comes up when `restart` is called, however slow or fast the machine. */
  const startRestarting = async (options: Partial<ProcessHostOptions> = {}, use: (host: ProcessHost) => Promise<void> = async () => {}) => {
    const gate = join(folder, 'gate')
    const entry = await script(`
      import { existsSync } from 'node:fs'
      import { setTimeout } from 'node:timers/promises'
      while (existsSync(${JSON.stringify(gate)})) await setTimeout(5)
      await import(engine)`)
    const host = await startReady({ entry, ...options })
    await use(host)
    await writeFile(gate, '')
    kill(host)
    await vi.waitFor(() => { expect(host.state).toBe('restarting') }, patience)
    return { host, restart: async () => { await rm(gate) } }
  }

  describe('killed', () => {
    it('fails the streams that had text, and answers all others from its successor', async () => {
      const states: string[] = []
      const host = await startReady({ onChange: () => { states.push(hosts[0]?.state ?? 'loading') } })
      const alone: string[] = []
      for (let index = 0; index < 4; index++) alone.push(textOf(await run(host, `Tell me of the river ${index}.`)))
      const { pid } = host
      states.length = 0

      const streams = await Promise.all(Array.from({ length: 8 }, (_, index) => stream(host, `A castle ${index}.`)))
      const queued = alone.map((_, index) => run(host, `Tell me of the river ${index}.`))
      await vi.waitFor(() => { expect(host.inference.snapshot()).toMatchObject({ running: 8, waiting: 4, requests: 12 }) }, patience)
      kill(host)

      for (const outcome of await Promise.allSettled(streams.map(({ end }) => end))) {
        expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'engine_crashed' } })
      }
      await expect(streams[0]?.end).rejects.toThrow(/SIGKILL/)
      expect(host.state).toBe('restarting')
      expect(host.failure).toMatchObject({ code: 'engine_crashed' })
      expect(host.pid).toBeNull()
      const late = run(host, 'Tell me of the river 0.')
      const tokens = host.inference.tokenize({ segments: [{ text: 'river', origin: 'user' }] }, { addBos: true })

      const answers = await Promise.all(queued)
      expect(answers.map((events) => textOf(events))).toEqual(alone)
      for (const events of answers) {
        expect(events.filter(({ type }) => type === 'accepted')).toHaveLength(1)
        expect(events.filter(({ type }) => type === 'choice-started')).toHaveLength(1)
      }
      expect(textOf(await late)).toBe(alone[0])
      expect(await host.inference.detokenize(await tokens)).toBe('river')
      expect(states).toEqual(['restarting', 'restarting', 'ready'])
      expect(host).toMatchObject({ state: 'ready', failure: null, restarts: 1 })
      expect(host.pid).not.toBe(pid)
    })

    it('goes on counting where the dead process left off', async () => {
      const { host, restart } = await startRestarting({}, async (host) => {
        await run(host, 'The fox', { maxTokens: 5 })
        await vi.waitFor(() => { expect(host.inference.snapshot()).toMatchObject({ finished: 1, drawnTokens: 5 }) }, patience)
      })
      expect(host.inference.snapshot()).toMatchObject({ finished: 1, drawnTokens: 5, running: 0 })
      await restart()
      await run(host, 'The fox', { maxTokens: 6 })
      await vi.waitFor(() => { expect(host.inference.snapshot()).toMatchObject({ finished: 2, drawnTokens: 11 }) }, patience)
    })

    it('lets as many requests wait as the queue holds, as long as they want', async () => {
      const { host, restart } = await startRestarting({ scheduling: { maxQueue: 3 } })
      const impatient = run(host, 'The fox', { queueTimeoutMs: 50 })
      const waiting = [run(host, 'The fox', { choices: 2 })]
      await expect(run(host, 'The fox')).rejects.toMatchObject({ code: 'queue_full' })
      await expect(impatient).rejects.toMatchObject({ code: 'queue_timeout' })
      waiting.push(run(host, 'The fox'))
      expect(host.inference.snapshot()).toMatchObject({ waiting: 3, requests: 2 })
      await restart()
      for (const answer of waiting) expect((await answer).at(-1)).toMatchObject({ type: 'finished' })
    })

    it('frees those who leave while they wait', async () => {
      const { host, restart } = await startRestarting()
      const controller = new AbortController()
      const leaving = collectEvents(host.inference.generate(generationRequest('The fox'), controller.signal))
      await vi.waitFor(() => { expect(host.inference.snapshot().requests).toBe(1) }, patience)
      controller.abort()
      await expect(leaving).rejects.toMatchObject({ code: 'request_aborted' })
      expect(host.inference.snapshot()).toMatchObject({ requests: 0, waiting: 0 })
      await restart()
      await host.ready(neverAborted)
      expect(host.inference.snapshot().added).toBe(0)
    })

    it('serves a full house again: nothing that was admitted is refused by the smaller queue of a new process', async () => {
      // The first process reads four tokens in a step of 50 ms, so that nobody has a text before it is killed; the second
      // one is told to be quick.
      const costs = { slotsPerLane: 4, maxStepTokens: 4, stepMs: 50 }
      const host = await startReady({ spec: { backend: 'fake', options: costs }, scheduling: { maxQueue: 4 } })
      const crowd: Promise<unknown>[] = []
      for (const waiting of [0, 4]) {
        for (let index = 0; index < 4; index++) crowd.push(run(host, `A lantern ${index}. `.repeat(400), { maxTokens: 2 }))
        await vi.waitFor(() => { expect(host.inference.snapshot()).toMatchObject({ running: 4, waiting }) }, patience)
      }
      Object.assign(costs, { maxStepTokens: 512, stepMs: 1 })
      kill(host)
      expect((await Promise.allSettled(crowd)).map(({ status }) => status)).toEqual(crowd.map(() => 'fulfilled'))
    })
  })

  it('gives a request that kills processes no third one, and serves the others', async () => {
    const host = await startReady()
    const poison = run(host, 'Please !crash')
    await expect(poison).rejects.toMatchObject({ code: 'engine_crashed' })
    await expect(poison).rejects.toThrow(/SIGABRT/)
    expect(textOf(await run(host, 'The garden'))).not.toBe('')
    expect(host.restarts).toBe(2)
  })

  it('fails a request whose process dies after its first text, without a second try', async () => {
    const host = await startReady()
    await expect(run(host, 'Please !crash-later')).rejects.toMatchObject({ code: 'engine_crashed' })
    await host.ready(neverAborted)
    expect(host.restarts).toBe(1)
  })

  it('keeps trying when new processes do not come up, and serves when one does', async () => {
    const marker = join(folder, 'broken')
    const entry = await script(`
      import { existsSync } from 'node:fs'
      if (existsSync(${JSON.stringify(marker)})) { console.error('Error: the cable is out'); process.exit(3) }
      await import(engine)`)
    const host = await startReady({ entry, restart: { initialDelayMs: 5, maxDelayMs: 20 } })
    await writeFile(marker, '')
    kill(host)
    await vi.waitFor(() => { expect(host.restarts).toBeGreaterThan(3) }, patience)
    expect(host.state).toBe('restarting')
    await vi.waitFor(() => { expect(host.failure?.message).toMatch(/could not be started again: it exited with code 3/) }, patience)
    const patient = run(host, 'The fox')
    await rm(marker)
    expect((await patient).at(-1)).toMatchObject({ type: 'finished' })
    expect(host).toMatchObject({ state: 'ready', failure: null })
  })

  describe('that cannot load', () => {
    const failsWith = async (options: Partial<ProcessHostOptions>, message: RegExp): Promise<void> => {
      const host = start(options)
      expect(host).toMatchObject({ state: 'loading', info: null })
      expect(() => host.inference.info).toThrow(/still being loaded/)
      await expect(run(host, 'The fox')).rejects.toMatchObject({ code: 'model_loading' })
      await expect(host.ready(neverAborted)).rejects.toThrow(message)
      expect(host).toMatchObject({ state: 'failed', restarts: 0, pid: null })
      expect(host.failure?.message).toMatch(message)
      await expect(run(host, 'The fox')).rejects.toMatchObject({ code: 'engine_unavailable' })
      await expect(host.ready(neverAborted)).rejects.toThrow(message)
    }

    it('says what the engine said', async () => await failsWith({
      spec: {
        backend: 'llama-cpp',
        options: {
          modelPath: join(folder, 'missing.gguf'),
          gpu: 'off',
          gpuLayers: 'auto',
          threads: 1,
          laneCount: 1,
          slotsPerLane: 1,
          contextSize: 64,
          maxStepTokens: 16
        }
      }
    }, /missing\.gguf/))

    it('says how the process ended, and its last words', async () => await failsWith({
      entry: await script("process.stderr.write('GGML_ASSERT(n > 0) failed\\n  at somewhere\\n'); process.exitCode = 6")
    }, /exited with code 6 while it loaded the model; its last words: GGML_ASSERT\(n > 0\) failed/))

    it('says what was the first error in its log, where there is one', async () => await failsWith({
      entry: await script(`
        const log = (message) => process.send({ type: 'log', level: 'error', details: { backend: 'llama.cpp' }, message })
        log('CUDA error: out of luck')
        log('current device: 0')
        process.stderr.write('libggml-base.so(ggml_abort+0x152)[0x7f79f84aef42]\\n', () => setTimeout(() => process.abort(), 100))`)
    }, /died of SIGABRT while it loaded the model; its last words: CUDA error: out of luck$/))

    it('says that it was killed', async () => await failsWith({
      entry: await script("process.kill(process.pid, 'SIGKILL')")
    }, /was killed \(SIGKILL; perhaps the machine ran out of memory\)/))

    it('says that it is of another build', async () => await failsWith({
      entry: await script("process.on('message', () => {}); process.send({ type: 'hello', version: 99 })")
    }, /version 99 of the protocol/))
  })

  it('does not listen to Ctrl-C and its like: its parent decides', async () => {
    const host = await startReady()
    const { pid } = host
    const answer = run(host, 'The ship', { maxTokens: 50 })
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) kill(host, signal)
    expect((await answer).at(-1)).toMatchObject({ type: 'finished', completionTokens: 50 })
    expect(host).toMatchObject({ pid, restarts: 0, state: 'ready' })
  })

  describe('that hangs', () => {
    it('is killed at its end', async () => {
      const host = await startReady({ exitGraceMs: 200 })
      const pid = host.pid ?? 0
      kill(host, 'SIGSTOP')
      await host.close()
      expect(host).toMatchObject({ state: 'closed', pid: null })
      expect(isAlive(pid)).toBe(false)
    })

    it('is killed at its end when a step never ends', async () => {
      const host = await startReady({ exitGraceMs: 200 })
      const pid = host.pid ?? 0
      const hanging = run(host, 'Please !hang', { timeoutMs: 1000 })
      const closing = host.close()
      expect(host.state).toBe('draining')
      await expect(hanging).rejects.toMatchObject({ code: 'generation_timeout' })
      await closing
      expect(isAlive(pid)).toBe(false)
    })

    it('is replaced when it completes no step for long', async () => {
      // More than a new process takes for its first step on a busy machine.
      const host = await startReady({ stallTimeoutMs: 2000 })
      await expect(run(host, 'Please !hang-later')).rejects.toThrow(/completed no step in 2000 ms and was killed/)
      expect((await run(host, 'The window')).at(-1)).toMatchObject({ type: 'finished' })
      expect(host.restarts).toBe(1)
    })
  })

  describe('stuck in a draw that does not end', () => {
    it('is replaced: the request at fault fails, all that had no text are answered', async () => {
      const host = await startReady({
        spec: {
          backend: 'llama-cpp',
          options: {
            ...demoEngineOptions,
            ...{ laneCount: 1, slotsPerLane: 2, contextSize: 256, maxStepTokens: 64 },
            grammarDrawLimits: { slowMs: 1000, stuckMs: 300 }
          }
        }
      })
      // After one letter there are two thousand ways to have read it, after two there are four million.
      const grammar = `root ::= letter letter letter\nletter ::= ${Array.from({ length: 2000 }, () => '[a-z]').join(' | ')}`
      const stuck = run(host, 'Once upon a time', { sampling: { ...greedySampling, grammar } })
      const queued = [run(host, 'The fox'), run(host, 'The bridge'), run(host, 'The river')]
      await expect(stuck).rejects.toMatchObject({ code: 'invalid_grammar', param: 'grammar' })
      const outcomes = await Promise.allSettled(queued)
      expect(outcomes.filter(({ status }) => status === 'fulfilled').length).toBeGreaterThan(0)
      for (const outcome of outcomes) {
        if (outcome.status === 'rejected') {
          expect(outcome.reason).toMatchObject({ code: 'engine_crashed', message: expect.stringContaining('was stuck in a draw under a grammar and was killed') })
        }
      }
      expect(textOf(await run(host, 'The fox'))).not.toBe('')
      expect(host.restarts).toBe(1)
    })
  })

  describe('at the end', () => {
    it('drains through a crash: what can be answered is answered', async () => {
      const host = await startReady({ spec: fake({ slotsPerLane: 1 }) })
      const { end } = await stream(host, 'A castle')
      const queued = run(host, 'The fox')
      await vi.waitFor(() => { expect(host.inference.snapshot().waiting).toBe(1) }, patience)
      const closing = host.close()
      kill(host)
      await expect(end).rejects.toMatchObject({ code: 'engine_crashed' })
      expect(host.state).toBe('draining')
      expect((await queued).at(-1)).toMatchObject({ type: 'finished' })
      await closing
      expect(host).toMatchObject({ state: 'closed', pid: null, restarts: 1 })
    })

    it('can be closed and destroyed at any time, and any number of times', async () => {
      const loading = start()
      const whenReady = loading.ready(neverAborted)
      await Promise.all([loading.close(), expect(whenReady).rejects.toMatchObject({ code: 'server_draining' })])
      expect(loading).toMatchObject({ state: 'closed', pid: null })
      await loading.close()
      await loading.destroy(new Error('again'))

      const restarting = await startReady({ restart: { initialDelayMs: 60_000 } })
      kill(restarting)
      await vi.waitFor(() => { expect(restarting.state).toBe('restarting') }, patience)
      await restarting.close()
      expect(restarting).toMatchObject({ state: 'closed', pid: null, restarts: 0 })

      const failed = start({ entry: await script('process.exit(1)') })
      await expect(failed.ready(neverAborted)).rejects.toThrow(/exited with code 1/)
      await failed.close()
      expect(failed.state).toBe('closed')
    })

    it('stops waiting for readiness when asked to', async () => {
      const host = start({ entry: await script("process.on('message', () => {})") })
      const controller = new AbortController()
      const waiting = host.ready(controller.signal)
      controller.abort()
      await expect(waiting).rejects.toMatchObject({ code: 'request_aborted' })
    })
  })

  describe('whose parent dies', () => {
    /** A parent with an engine process, which does what `end` says as soon as it is told to. */
    const startParent = async (end: string): Promise<{ parent: ChildProcessByStdio<Writable, Readable, null>, pid: number }> => {
      const module = new URL('../../dist/src/models/process-host.js', import.meta.url).href
      const path = join(folder, 'parent.mjs')
      await writeFile(path, `
        import { createProcessHost } from ${JSON.stringify(module)}
        const quiet = () => {}
        const host = createProcessHost({
          id: 'fake', root: 'fake', createdAt: 0, spec: { backend: 'fake', options: {} }, scheduling: { maxQueue: 1 },
          queueTimeoutMs: 1000, stallTimeoutMs: 1000, threadPoolSize: 1, logLevel: 'silent',
          logger: { trace: quiet, debug: quiet, info: quiet, warn: quiet, error: quiet }
        })
        await host.ready(new AbortController().signal)
        process.stdin.once('data', () => {
          ${end}
        })
        process.stdout.write(host.pid + '\\n')`)
      const parent = spawn(process.execPath, [path], { stdio: ['pipe', 'pipe', 'inherit'] })
      const pid = await new Promise<number>((resolve) => { parent.stdout.once('data', (data) => resolve(Number(data))) })
      expect(isAlive(pid)).toBe(true)
      return { parent, pid }
    }

    it('ends when the parent is killed', async () => {
      const { parent, pid } = await startParent('')
      parent.kill('SIGKILL')
      await vi.waitFor(() => { expect(isAlive(pid)).toBe(false) }, patience)
    })

    it('ends when the parent exits, even when it hangs itself', async () => {
      const { parent, pid } = await startParent("process.kill(host.pid, 'SIGSTOP'); process.exit(1)")
      parent.stdin.end('now')
      await vi.waitFor(() => { expect(isAlive(pid)).toBe(false) }, patience)
    })
  })

  it('survives a storm of leaving clients', async () => {
    const host = await startReady({ spec: fake({ stepMs: 1 }), scheduling: { maxQueue: 1000 } })
    const prompts = Array.from({ length: 10 }, (_, index) => `What of the meadow ${index}?`)
    const alone: string[] = []
    for (const prompt of prompts) alone.push(textOf(await run(host, prompt, { maxTokens: 30 })))
    const outcomes = await Promise.all(Array.from({ length: 200 }, async (_, index) => {
      const prompt = prompts[index % prompts.length] ?? ''
      if (index % 2 === 0) return textOf(await run(host, prompt, { maxTokens: 30 }))
      let remaining = index % 7
      for await (const event of host.inference.generate(generationRequest(prompt, { maxTokens: null }), neverAborted)) {
        if (event.type === 'text' && remaining-- === 0) break
      }
      return null
    }))
    for (const [index, text] of outcomes.entries()) {
      if (index % 2 === 0) expect(text).toBe(alone[index % prompts.length])
    }
    await vi.waitFor(() => {
      expect(host.inference.snapshot()).toMatchObject({
        requests: 0, running: 0, waiting: 0, added: 210, finished: 110, aborted: 100, lanes: [{ busySlots: 0 }]
      })
    }, patience)
    expect(host.restarts).toBe(0)
  })
})

/** A process that ended but was not yet waited for by its parent does not live. */
function isAlive (pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const stat = `/proc/${pid}/stat`
  if (!existsSync(stat)) return process.platform !== 'linux'
  return !/^\d+ \(.*\) [ZX]/.test(readFileSync(stat, 'utf8'))
}
