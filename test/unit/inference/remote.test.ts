import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { AdapterKey } from '../../../src/domain/adapter-set.ts'
import { ServerError } from '../../../src/domain/errors.ts'
import { encodeVector } from '../../../src/domain/vector-bytes.ts'
import { asToken } from '../../../src/domain/ids.ts'
import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import { LocalInference } from '../../../src/inference/local.ts'
import type { ServerMessage, WireSnapshot } from '../../../src/inference/protocol.ts'
import { wireCode } from '../../../src/inference/protocol.ts'
import { RemoteInference } from '../../../src/inference/remote.ts'
import { collectEvents, embeddingRequest, generationRequest, neverAborted, textOf } from '../../support/generation.ts'

const engine = createFakeEngine({ slotsPerLane: 2 })
const idle = new LocalInference(engine, { maxQueue: 1 }).snapshot()
const crash = new ServerError('engine_crashed', 'The engine process died')
const segments = [{ text: 'river', origin: 'user' }] as const

describe('remote inference', () => {
  let time: number
  let ends: string[]
  let remote: RemoteInference
  beforeEach(() => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] })
    time = 1000
    ends = []
    remote = new RemoteInference({
      maxQueue: 3,
      queueTimeoutMs: 5000,
      stallTimeoutMs: 60_000,
      now: () => time,
      onClosing: () => { ends.push('closing') },
      release: async () => { ends.push('release') },
      kill: async () => { ends.push('kill') },
      onStall: () => { ends.push('stall') }
    })
  })
  afterEach(() => { vi.useRealTimers() })

  /** A process that keeps what it is told. */
  const connect = (snapshot: WireSnapshot = { now: 0, numbers: idle }): ServerMessage[] => {
    const received: ServerMessage[] = []
    remote.connect({ send: (message) => { received.push(message) } }, engine.info, snapshot)
    return received
  }
  const pass = (durationMs: number): void => {
    time += durationMs
    vi.advanceTimersByTime(100)
  }
  const run = (changes: Parameters<typeof generationRequest>[1] = {}, signal = neverAborted) =>
    collectEvents(remote.generate(generationRequest('The fox', changes), signal))
  const finish = (call: number): void => {
    remote.take({ type: 'events', events: [[call, wireCode.finished, 3, 0, 1]] })
  }

  it('tells every process that was started with other limits', () => {
    const limits = { maxQueue: 1, targetItlMs: 50 }
    const first = connect()
    expect(first).toEqual([])
    remote.limit(limits)
    expect(first).toEqual([{ type: 'limit', limits }])
    remote.interrupt(crash)
    const waits = run()
    expect(remote.snapshot().waiting).toBe(1)
    const second = connect()
    expect(second.map(({ type }) => type)).toEqual(['limit', 'generate'])
    finish(1)
    return waits
  })

  it('lets so many wait for a process as the latest limit says', async () => {
    connect()
    remote.interrupt(crash)
    remote.limit({ maxQueue: 1, targetItlMs: 'auto' })
    const waits = run()
    await expect(run()).rejects.toMatchObject({ code: 'queue_full', message: expect.stringContaining('the limit is 1') as string })
    connect()
    finish(1)
    await waits
  })

  it('does nothing before it is read', () => {
    const received = connect()
    remote.generate(generationRequest('The fox'), neverAborted)
    expect(received).toEqual([])
    expect(remote.pendingCalls).toBe(0)
  })

  it('gives a reader that lags behind the text of several tokens at once, and loses nothing of it', async () => {
    connect()
    const events = remote.generate(generationRequest('The fox'), neverAborted)[Symbol.asyncIterator]()
    const first = events.next()
    remote.take({
      type: 'events',
      events: [
        [1, wireCode.accepted, 3], [1, wireCode.started, 0, 0, 1], [1, wireCode.text, 0, 'a', 1],
        [1, wireCode.text, 0, 'b', 3, [['b', -0.5, [98], [['c', null, [99]]]]]], [1, wireCode.text, 1, 'x', 1]
      ]
    })
    remote.take({ type: 'events', events: [[1, wireCode.text, 1, 'y', 2], [1, wireCode.finished, 3, 0, 5]] })
    expect((await first).value).toEqual({ type: 'accepted', promptTokens: 3 })
    const rest: unknown[] = []
    for (let result = await events.next(); result.done !== true; result = await events.next()) rest.push(result.value)
    expect(rest).toEqual([
      { type: 'choice-started', choice: 0, cachedTokens: 0, queuedMs: 1 },
      {
        type: 'text',
        choice: 0,
        text: 'ab',
        drawnTokens: 3,
        logprobs: [{ token: 'b', logprob: -0.5, bytes: [98], top: [{ token: 'c', logprob: -Infinity, bytes: [99] }] }]
      },
      { type: 'text', choice: 1, text: 'xy', drawnTokens: 2 },
      { type: 'finished', promptTokens: 3, cachedTokens: 0, completionTokens: 5 }
    ])
  })

  it('tells the process at once when a reader leaves or a signal fires, and only once', async () => {
    const received = connect()
    const controller = new AbortController()
    const aborted = run({}, controller.signal)
    const events = remote.generate(generationRequest('The fox'), controller.signal)[Symbol.asyncIterator]()
    const pending = events.next()
    await events.return?.()
    expect(received.slice(2)).toEqual([{ type: 'abort', call: 2 }])
    await expect(pending).resolves.toMatchObject({ done: true })
    controller.abort()
    await expect(aborted).rejects.toMatchObject({ code: 'request_aborted' })
    expect(received.slice(2)).toEqual([{ type: 'abort', call: 2 }, { type: 'abort', call: 1 }])
    expect(remote.pendingCalls).toBe(0)
  })

  it('takes no notice of what comes for calls that have ended', async () => {
    connect()
    const controller = new AbortController()
    const aborted = run({}, controller.signal)
    controller.abort()
    remote.take({ type: 'events', events: [[1, wireCode.text, 0, 'late', 1]] })
    remote.take({ type: 'reply', call: 1, value: 'late' })
    await expect(aborted).rejects.toMatchObject({ code: 'request_aborted' })
  })

  it('sends a call whose answer had not begun to the next process, with what is left of its time', async () => {
    connect()
    const waiting = run({ queueTimeoutMs: 800, timeoutMs: 10_000 })
    const begun = run()
    const tokens = remote.tokenize({ segments }, { addBos: false })
    remote.take({ type: 'events', events: [[1, wireCode.accepted, 3], [2, wireCode.text, 0, 'a', 1]] })
    pass(2000)
    remote.interrupt(crash)
    await expect(begun).rejects.toBe(crash)
    pass(300)
    const received = connect()
    expect(received).toMatchObject([
      { type: 'generate', call: 1, request: { queueTimeoutMs: 500, timeoutMs: 7700 } },
      { type: 'tokenize', call: 3 }
    ])
    remote.take({ type: 'reply', call: 3, value: [asToken(7)] })
    expect(await tokens).toEqual([7])
    remote.take({ type: 'events', events: [[1, wireCode.accepted, 3], [1, wireCode.text, 0, 'b', 1]] })
    finish(1)
    const events = await waiting
    expect(events.map(({ type }) => type)).toEqual(['accepted', 'text', 'finished'])
    expect(textOf(events)).toBe('b')
  })

  describe('vectors', () => {
    const embedder = createFakeEngine({ embeddings: 'mean', canGenerate: false, contextSize: 8 })
    const connectEmbedder = (): ServerMessage[] => {
      const received: ServerMessage[] = []
      remote.connect({ send: (message) => { received.push(message) } }, embedder.info, { now: 0, numbers: idle })
      return received
    }
    const vectorOf = (...numbers: number[]): string => encodeVector(Float32Array.from(numbers))

    it('come from the process, and those that one made before it died are not told twice', async () => {
      const first = connectEmbedder()
      const vectors = collectEvents(remote.embed(embeddingRequest(['a', 'b'], { queueTimeoutMs: 800, timeoutMs: 10_000 }), neverAborted))
      expect(first).toMatchObject([{ type: 'embed', call: 1, request: { inputs: [{ text: 'a' }, { text: 'b' }], queueTimeoutMs: 800 } }])
      expect(remote.snapshot()).toMatchObject({ requests: 1 })
      remote.take({ type: 'events', events: [[1, wireCode.accepted, 6], [1, wireCode.embedded, 0, vectorOf(1, 2)]] })
      pass(1000)
      remote.interrupt(crash)
      pass(300)
      expect(connectEmbedder()).toMatchObject([{ type: 'embed', call: 1, request: { queueTimeoutMs: 500, timeoutMs: 8700 } }])
      remote.take({
        type: 'events',
        events: [
          [1, wireCode.accepted, 6], [1, wireCode.embedded, 0, vectorOf(9, 9)], [1, wireCode.embedded, 1, vectorOf(3, 4)],
          [1, wireCode.allEmbedded, 6, 12]
        ]
      })
      expect(await vectors).toEqual([
        { type: 'accepted', promptTokens: 6 },
        { type: 'embedded', input: 0, vector: Float32Array.of(1, 2) },
        { type: 'embedded', input: 1, vector: Float32Array.of(3, 4) },
        { type: 'finished', promptTokens: 6, queuedMs: 12 }
      ])
      expect(remote.pendingCalls).toBe(0)
    })

    it('end with the error of the process, with their time, and with the signal', async () => {
      const received = connectEmbedder()
      const failed = collectEvents(remote.embed(embeddingRequest(['a']), neverAborted))
      remote.take({ type: 'events', events: [[1, wireCode.failed, { code: 'queue_full', message: 'full' }]] })
      await expect(failed).rejects.toMatchObject({ code: 'queue_full' })
      const late = collectEvents(remote.embed(embeddingRequest(['a'], { timeoutMs: 100 }), neverAborted))
      pass(6000)
      await expect(late).rejects.toMatchObject({ code: 'generation_timeout' })
      const controller = new AbortController()
      const aborted = collectEvents(remote.embed(embeddingRequest(['a']), controller.signal))
      controller.abort()
      await expect(aborted).rejects.toMatchObject({ code: 'request_aborted' })
      expect(received.slice(-1)).toEqual([{ type: 'abort', call: 3 }])
    })

    it('wait for a process no longer than they may', async () => {
      connectEmbedder()
      remote.interrupt(crash)
      const waiting = collectEvents(remote.embed(embeddingRequest(['a'], { queueTimeoutMs: 100 }), neverAborted))
      pass(200)
      await expect(waiting).rejects.toMatchObject({ code: 'queue_timeout' })
    })

    it('are not even asked for where the process would refuse', async () => {
      const received = connectEmbedder()
      await expect(collectEvents(remote.embed(embeddingRequest([], { inputs: [{ tokens: Array.from({ length: 9 }, () => asToken(1)) }] }), neverAborted)))
        .rejects.toMatchObject({ code: 'context_length_exceeded', param: 'input[0]' })
      expect(received).toEqual([])
    })
  })

  it('gives no call to a third process', async () => {
    connect()
    const answer = run()
    remote.interrupt(crash)
    expect(connect()).toHaveLength(1)
    remote.interrupt(crash)
    await expect(answer).rejects.toBe(crash)
    expect(connect()).toEqual([])
  })

  it('sends what was lost before what came after, and refuses what is too much', async () => {
    connect()
    const lost = [run(), run()]
    remote.interrupt(crash)
    const late = run()
    await expect(run()).rejects.toMatchObject({ code: 'queue_full' })
    expect(remote.snapshot()).toMatchObject({ waiting: 3, requests: 3 })
    expect(connect()).toMatchObject([{ call: 1 }, { call: 2 }, { call: 3 }])
    for (const call of [1, 2, 3]) finish(call)
    await Promise.all([...lost, late])
    expect(remote.snapshot()).toMatchObject({ waiting: 0, requests: 0 })
  })

  it('holds back what does not fit in the queue of a new process until there is room', async () => {
    connect()
    const calls = [run({ choices: 2 }), run({ choices: 2 })]
    remote.interrupt(crash)
    const received = connect()
    expect(received).toMatchObject([{ type: 'generate', call: 1 }])
    remote.take({ type: 'events', events: [[1, wireCode.started, 0, 0, 1]] })
    expect(received).toMatchObject([{ call: 1 }, { type: 'generate', call: 2 }])
    finish(1)
    finish(2)
    await Promise.all(calls)
  })

  it('sends what is more than a whole queue by itself: its choices were admitted once', async () => {
    connect()
    const answer = run({ choices: 5 })
    remote.interrupt(crash)
    expect(connect()).toMatchObject([{ type: 'generate', request: { choices: 5 } }])
    finish(1)
    await answer
  })

  it('ends calls that wait too long for a process', async () => {
    connect()
    remote.interrupt(crash)
    const generation = run({ queueTimeoutMs: 700 })
    const tokens = remote.tokenize({ segments }, { addBos: false })
    pass(699)
    expect(remote.pendingCalls).toBe(2)
    pass(1)
    await expect(generation).rejects.toMatchObject({ code: 'queue_timeout' })
    pass(4300)
    await expect(tokens).rejects.toMatchObject({ code: 'queue_timeout' })
    expect(connect()).toEqual([])
  })

  it('ends a request that the process should have ended long ago', async () => {
    const received = connect()
    const answer = run({ timeoutMs: 2000 })
    pass(6900)
    expect(remote.pendingCalls).toBe(1)
    pass(100)
    await expect(answer).rejects.toMatchObject({ code: 'generation_timeout' })
    expect(received.at(-1)).toEqual({ type: 'abort', call: 1 })
  })

  it('reports a process that is busy and completes no step', async () => {
    connect()
    pass(100_000)
    const answer = run({ timeoutMs: 1_000_000 })
    pass(59_000)
    remote.take({ type: 'snapshot', snapshot: { now: 0, numbers: { ...idle, steps: 1 } } })
    pass(59_000)
    remote.take({ type: 'snapshot', snapshot: { now: 0, numbers: { ...idle, steps: 1 } } })
    expect(ends).toEqual([])
    pass(1000)
    expect(ends).toEqual(['stall'])
    finish(1)
    await answer
    pass(100_000)
    expect(ends).toEqual(['stall'])
  })

  it('does not take a stuck process that still takes in requests for one that works', async () => {
    connect()
    const busy = { ...idle, requests: 1, running: 1 }
    const first = run({ timeoutMs: 1_000_000 })
    remote.take({ type: 'snapshot', snapshot: { now: 0, numbers: busy } })
    // Its client leaves, others come and leave; the process accepts them, and tokenizes, but completes no step.
    for (let second = 0; second < 59; second++) {
      const controller = new AbortController()
      const answer = run({ timeoutMs: 1_000_000 }, controller.signal)
      remote.take({ type: 'events', events: [[second + 2, wireCode.accepted, 3]] })
      controller.abort()
      await expect(answer).rejects.toMatchObject({ code: 'request_aborted' })
      if (second === 30) {
        remote.take({ type: 'events', events: [[1, wireCode.failed, { code: 'engine_error', message: 'lost' }]] })
        await expect(first).rejects.toMatchObject({ code: 'engine_error' })
      }
      pass(1000)
    }
    expect(ends).toEqual([])
    const last = run({ timeoutMs: 1_000_000 })
    pass(1000)
    expect(ends).toEqual(['stall'])
    finish(61)
    await last
  })

  it('takes a process that only tokenizes for one that works', async () => {
    connect()
    let previous: Promise<unknown> | null = null
    for (let call = 1; call <= 100; call++) {
      const tokens = remote.tokenize({ segments }, { addBos: true })
      if (call > 1) remote.take({ type: 'reply', call: call - 1, value: [] })
      await previous
      previous = tokens
      pass(1000)
    }
    expect(ends).toEqual([])
    remote.take({ type: 'reply', call: 100, value: [] })
    await previous
  })

  it('loads adapters into every process to come, until they are unloaded', async () => {
    const controller = new AbortController()
    const key = 'pirate#1' as AdapterKey
    const received = connect()
    const loading = remote.loadAdapter(key, { path: '/pirate.gguf' }, controller.signal)
    expect(received).toEqual([{ type: 'load-adapter', call: 1, adapter: { key, file: { path: '/pirate.gguf' } } }])
    expect(remote.adapters).toEqual([])
    remote.take({ type: 'reply', call: 1, value: null })
    await loading
    expect(remote.adapters).toEqual([{ key, file: { path: '/pirate.gguf' } }])

    const refused = remote.loadAdapter('broken#1' as AdapterKey, { path: '/broken.gguf' }, controller.signal)
    remote.take({ type: 'reply-failed', call: 2, error: { code: 'invalid_adapter', message: 'Not an adapter' } })
    await expect(refused).rejects.toMatchObject({ code: 'invalid_adapter', message: 'Not an adapter' })

    const aborted = remote.loadAdapter('slow#1' as AdapterKey, { path: '/slow.gguf' }, controller.signal)
    controller.abort()
    await new Promise(setImmediate)
    // The process may have loaded it when it is told to give it up.
    expect(received.slice(-2)).toEqual([{ type: 'abort', call: 3 }, { type: 'unload-adapter', call: 4, key: 'slow#1' }])
    remote.take({ type: 'reply', call: 4, value: null })
    await expect(aborted).rejects.toMatchObject({ code: 'request_aborted' })

    const unloading = remote.unloadAdapter(key)
    remote.take({ type: 'reply', call: 5, value: null })
    await unloading
    expect(remote.adapters).toEqual([])
  })

  it('tells times of the process in times of its own clock, and adds up counters over processes', () => {
    connect({ now: 500, numbers: { ...idle, steps: 2, lastStepAt: 480 } })
    expect(remote.snapshot()).toMatchObject({ steps: 2, lastStepAt: 980 })
    remote.take({ type: 'snapshot', snapshot: { now: 700, numbers: { ...idle, steps: 5, running: 2, lastStepAt: 700 } } })
    expect(remote.snapshot()).toMatchObject({ steps: 5, running: 2, lastStepAt: 1000 })
    remote.interrupt(crash)
    expect(remote.snapshot()).toMatchObject({ steps: 5, running: 0, lastStepAt: 1000, contextSize: 4096 })
    connect({ now: 3, numbers: { ...idle, steps: 0 } })
    remote.take({ type: 'snapshot', snapshot: { now: 4, numbers: { ...idle, steps: 1 } } })
    expect(remote.snapshot().steps).toBe(6)
  })

  it('refuses calls before the first process, and after the last', async () => {
    await expect(run()).rejects.toMatchObject({ code: 'model_loading' })
    await expect(remote.tokenize({ segments }, { addBos: true })).rejects.toMatchObject({ code: 'model_loading' })
    connect()
    const running = run()
    const failure = new ServerError('engine_unavailable', 'It is broken')
    remote.fail(failure)
    await expect(running).rejects.toBe(failure)
    await expect(run()).rejects.toBe(failure)
    await expect(remote.detokenize([asToken(1)])).rejects.toBe(failure)
  })

  it('closes when the last call has ended', async () => {
    connect()
    const running = run()
    const closing = remote.close()
    await expect(run()).rejects.toMatchObject({ code: 'server_draining' })
    expect(ends).toEqual(['closing'])
    finish(1)
    await running
    await closing
    expect(ends).toEqual(['closing', 'release'])
    await remote.close()
    expect(ends).toEqual(['closing', 'release'])
  })

  it('is destroyed while it closes', async () => {
    connect()
    const running = run()
    const closing = remote.close()
    const plug = new ServerError('server_draining', 'Time is up')
    const destroying = remote.destroy(plug)
    await expect(running).rejects.toBe(plug)
    await Promise.all([closing, destroying])
    expect(ends).toEqual(['closing', 'kill', 'release'])
  })
})
