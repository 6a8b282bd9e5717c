import { createServer } from 'node:net'
import { once } from 'node:events'
import { gzipSync } from 'node:zlib'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { AnswerReader } from '../../../src/bench/client/answer-reader.ts'
import { Connections, type Answer, type Call, type ExchangeLimits } from '../../../src/bench/client/exchange.ts'
import { bodyEnd, framed, response, streamHead, until, WireServer } from './wire-server.ts'

const event = (value: unknown): string => `data: ${typeof value === 'string' ? value : JSON.stringify(value)}\n\n`
const chunk = (content: string, finish: string | null = null): string => event({ choices: [{ index: 0, delta: { content }, finish_reason: finish }] })
const usage = event({ choices: [], usage: { prompt_tokens: 3, completion_tokens: 2 } })
const done = event('[DONE]')
const wholeStream = streamHead + framed(chunk('a')) + framed(chunk('b', 'stop') + usage + done) + bodyEnd
const limits: ExchangeLimits = { timeoutMs: 600_000, stallTimeoutMs: 60_000 }

afterEach(() => {
  vi.restoreAllMocks()
  vi.useRealTimers()
})

/** Those of the exchange alone: sockets have timers of their own. */
const fakeTimers = (): void => { vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }) }

interface Asking extends Partial<ExchangeLimits> {
  readonly isStreaming?: boolean
  readonly headers?: Call['headers']
  readonly clock?: () => number
  readonly signal?: AbortSignal
}

async function ask (connections: Connections, url: URL, { isStreaming = true, headers = {}, clock = () => performance.now(), signal = new AbortController().signal, ...given }: Asking = {}): Promise<Answer> {
  return await connections.exchange({ url, headers, body: '{"größe":1}', isStreaming }, { ...limits, ...given }, clock, signal)
}

/** One question to a server that answers every one in this way. */
async function askOnce (answer: string | Buffer, asking: Asking = {}): Promise<Answer> {
  await using server = await WireServer.start(({ socket }) => socket.write(answer))
  using connections = new Connections(server.url)
  return await ask(connections, server.url, asking)
}

describe('an exchange', () => {
  it('posts the body, and asks for an answer as it is', async () => {
    await using server = await WireServer.start(({ socket }) => socket.write(wholeStream))
    using connections = new Connections(server.url)
    await ask(connections, server.url, { headers: { authorization: 'Bearer k' } })
    await ask(connections, server.url, { headers: { 'accept-encoding': 'br' } })
    expect(server.requests[0]?.head).toMatch(/^POST \/v1\/chat\/completions HTTP\/1\.1\r\n/)
    expect(server.requests[0]?.head).toContain('accept-encoding: identity')
    expect(server.requests[0]?.head).toContain('authorization: Bearer k')
    expect(Buffer.from(server.requests[0]?.body ?? '', 'latin1').toString()).toBe('{"größe":1}')
    expect(server.requests[1]?.head).toContain('accept-encoding: br')
  })

  it('reads a stream wherever its bytes are parted', async () => {
    const bytes = Buffer.from(streamHead + framed(chunk('größer ')) + framed(chunk('😀', 'stop') + usage) + framed(done) + bodyEnd)
    await using server = await WireServer.start(({ socket }) => {
      socket.setNoDelay()
      let sent = 0
      const next = (): void => {
        if (sent >= bytes.length) return
        socket.write(bytes.subarray(sent, sent += 7), () => setImmediate(next))
      }
      next()
    })
    using connections = new Connections(server.url)
    const answer = await ask(connections, server.url)
    expect(answer).toMatchObject({ text: 'größer 😀', inputTokens: 3, outputTokens: 2, choiceCount: 1, failure: null })
    expect(answer.outputTimes).toHaveLength(2)
  })

  it('takes moments when bytes come, before they are read', async () => {
    let time = 100
    const { parse } = JSON
    // Reading takes 7 ms for each chunk.
    vi.spyOn(JSON, 'parse').mockImplementation((text: string) => {
      time += 7
      return parse(text) as unknown
    })
    let calls = 0
    const clock = (): number => {
      calls++
      return time
    }
    await using server = await WireServer.start(({ socket }) => {
      time = 150
      // Two chunks in one read have one moment.
      socket.write(streamHead + framed(chunk('a')) + framed(chunk('b')))
    })
    using connections = new Connections(server.url)
    const answering = ask(connections, server.url, { clock })
    await until(() => time >= 150 + 14)
    time = 200
    const before = calls
    server.requests[0]?.socket.write(framed(chunk('c', 'stop') + done))
    await until(() => calls > before)
    time = 300
    server.requests[0]?.socket.write(bodyEnd)
    // The end is that of the last byte, not when the end of the response was told.
    expect(await answering).toMatchObject({ sentAt: 100, outputTimes: [150, 150, 200], endedAt: 200, failure: null })
  })

  it('reads whole answers, which end with their last byte', async () => {
    let time = 100
    const body = JSON.stringify({ choices: [{ message: { content: 'größe' }, finish_reason: 'stop' }], usage: { completion_tokens: 3 } })
    await using server = await WireServer.start(({ socket }) => {
      time = 150
      socket.write(response(200, { 'content-type': 'application/json' }, body))
    })
    using connections = new Connections(server.url)
    const { parse } = JSON
    vi.spyOn(JSON, 'parse').mockImplementation((text: string) => {
      time += 7
      return parse(text) as unknown
    })
    expect(await ask(connections, server.url, { isStreaming: false, clock: () => time })).toMatchObject({ sentAt: 100, endedAt: 150, outputTimes: [], text: 'größe', outputTokens: 3, failure: null })
  })

  it('takes an event without its blank line at the end', async () => {
    expect(await askOnce(streamHead + framed(chunk('a')) + framed(chunk('b', 'stop').trimEnd()) + bodyEnd)).toMatchObject({ text: 'ab', failure: null })
  })
})

describe('connections', () => {
  it('are used again', async () => {
    await using server = await WireServer.start(({ socket }) => socket.write(wholeStream))
    using connections = new Connections(server.url)
    for (let time = 0; time < 3; time++) expect((await ask(connections, server.url)).failure).toBeNull()
    expect(server.connections).toBe(1)
  })

  /** The second request on a connection finds it closed. */
  async function askTwice (breaksAt: number, breakOff = ''): Promise<{ readonly second: Answer, readonly server: WireServer }> {
    let time = 0
    let isRead = false
    await using server = await WireServer.start(({ number, socket }) => {
      if (number === 1) {
        time = breaksAt
        isRead = breakOff === ''
        socket.write(breakOff)
        until(() => isRead).then(() => socket.resetAndDestroy(), () => {})
      } else {
        socket.write(wholeStream)
      }
    })
    using connections = new Connections(server.url)
    const clock = (): number => {
      isRead = true
      return time
    }
    await ask(connections, server.url, { clock })
    time = 1000
    return { second: await ask(connections, server.url, { clock }), server }
  }

  it('that were stale are nobody\'s failure: the request is sent once more, and is as old as it is', async () => {
    const { second, server } = await askTwice(1030)
    expect(server.requests.map(({ connection }) => connection)).toEqual([0, 0, 1])
    expect(second).toMatchObject({ sentAt: 1000, outputTimes: [1030, 1030], failure: null })
  })

  it('that break later are the server\'s failure', async () => {
    const { second, server } = await askTwice(1060)
    expect(server.requests).toHaveLength(2)
    expect(second.failure).toMatchObject({ kind: 'connection reset' })
  })

  it('that break in the middle of a response are the server\'s failure', async () => {
    const { second, server } = await askTwice(1030, streamHead + framed(chunk('a')))
    expect(server.requests).toHaveLength(2)
    expect(second.failure).toMatchObject({ kind: 'connection reset' })
  })

  it('that are new and break are not tried again', async () => {
    await using server = await WireServer.start(({ socket }) => socket.destroy())
    using connections = new Connections(server.url)
    expect((await ask(connections, server.url)).failure).toMatchObject({ kind: 'connection reset' })
    expect(server.requests).toHaveLength(1)
  })

  it('that are refused are so called', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    server.close()
    await once(server, 'close')
    const url = new URL(`http://127.0.0.1:${port}/v1/chat/completions`)
    using connections = new Connections(url)
    expect((await ask(connections, url)).failure).toMatchObject({ kind: 'connection refused' })
  })

  it('that are reset in the middle of a stream leave what came', async () => {
    await using server = await WireServer.start(({ socket }) => socket.write(streamHead + framed(chunk('a'))))
    using connections = new Connections(server.url)
    let calls = 0
    const answering = ask(connections, server.url, { clock: () => ++calls })
    await until(() => calls === 2)
    server.requests[0]?.socket.resetAndDestroy()
    expect(await answering).toMatchObject({ text: 'a', outputTimes: [2], failure: { kind: 'connection reset' } })
  })

  it('that the server keeps open after [DONE] hold up no answer, and are closed', async () => {
    fakeTimers()
    await using server = await WireServer.start(({ socket }) => socket.write(streamHead + framed(chunk('a', 'stop') + done)))
    using connections = new Connections(server.url)
    let time = 0
    let calls = 0
    const answering = ask(connections, server.url, {
      clock: () => {
        calls++
        time += 10
        return time
      }
    })
    await until(() => calls === 2)
    const closed = once(server.requests[0]!.socket, 'close')
    await vi.advanceTimersByTimeAsync(100)
    expect(await answering).toMatchObject({ sentAt: 10, endedAt: 20, failure: null })
    await closed
    expect(vi.getTimerCount()).toBe(0)
  })

  it('that break after [DONE] have given their answer', async () => {
    await using server = await WireServer.start(({ socket }) => socket.write(streamHead + framed(chunk('a', 'stop') + done), () => socket.destroy()))
    using connections = new Connections(server.url)
    expect(await ask(connections, server.url)).toMatchObject({ text: 'a', failure: null })
  })
})

describe('limits of time', () => {
  /** @returns the answer to a request whose server writes these, each when so much time has passed since the one before. */
  async function askSlowly (parts: readonly (readonly [number, string])[], asking: Asking): Promise<Answer> {
    fakeTimers()
    await using server = await WireServer.start(() => {})
    using connections = new Connections(server.url)
    let calls = 0
    let answer: Answer | undefined
    const answering = ask(connections, server.url, { clock: () => ++calls, ...asking })
    answering.then((value) => { answer = value }, () => {})
    await until(() => server.requests.length === 1)
    for (const [waitMs, part] of parts) {
      await vi.advanceTimersByTimeAsync(waitMs)
      if (answer !== undefined) break
      const before = calls
      server.requests[0]?.socket.write(part)
      if (part !== '') await until(() => calls > before)
    }
    const found = await answering
    // Nothing of it is left behind.
    expect(vi.getTimerCount()).toBe(0)
    return found
  }

  it('let a stream go on as long as something comes', async () => {
    const part = framed(chunk('a'))
    const answer = await askSlowly([[900, streamHead + part], [900, part], [900, part], [900, framed(': still here\n\n')], [900, framed(done) + bodyEnd]], { stallTimeoutMs: 1000 })
    expect(answer).toMatchObject({ text: 'aaa', failure: null })
  })

  it('end a stream in which nothing comes', async () => {
    const answer = await askSlowly([[900, streamHead + framed(chunk('a'))], [1000, framed(chunk('b'))]], { stallTimeoutMs: 1000 })
    expect(answer).toMatchObject({ text: 'a', failure: { kind: 'stalled', message: 'Nothing came for 1000 ms' } })
  })

  it('end what takes too long as a whole, also a stream that flows', async () => {
    const part = framed(chunk('a'))
    const answer = await askSlowly([[900, streamHead + part], [900, part], [900, part]], { stallTimeoutMs: 1000, timeoutMs: 2000 })
    expect(answer).toMatchObject({ text: 'aa', failure: { kind: 'timeout', message: 'No end after 2000 ms' } })
  })

  it('know no stalls of whole answers', async () => {
    const answer = await askSlowly([[4999, ''], [1, '']], { isStreaming: false, stallTimeoutMs: 1000, timeoutMs: 5000 })
    expect(answer.failure).toMatchObject({ kind: 'timeout' })
  })

  it('leave no timer behind when a request cannot be made', async () => {
    fakeTimers()
    using connections = new Connections(new URL('http://127.0.0.1:1'))
    await expect(ask(connections, new URL('http://127.0.0.1:1'), { headers: { authorization: 'Bearer …' } })).rejects.toThrow('Invalid character in header content')
    expect(vi.getTimerCount()).toBe(0)
  })

  it('do not outlive the run', async () => {
    fakeTimers()
    await using server = await WireServer.start(() => {})
    using connections = new Connections(server.url)
    const controller = new AbortController()
    const answering = ask(connections, server.url, { signal: controller.signal })
    answering.catch(() => {})
    await until(() => server.requests.length === 1)
    controller.abort(new Error('Enough'))
    await expect(answering).rejects.toThrow('Enough')
    expect(vi.getTimerCount()).toBe(0)
    await expect(ask(connections, server.url, { signal: controller.signal })).rejects.toThrow('Enough')
    expect(server.requests).toHaveLength(1)
  })
})

describe('responses that are no answer', () => {
  const json = { 'content-type': 'application/json' }
  const error = JSON.stringify({ error: { message: 'The queue is full', type: 'server_error', code: 'queue_full' } })

  it.each([
    ['an error of the catalogue', response(429, json, error), { kind: 'http 429 queue_full', message: 'The queue is full' }],
    ['a proxy\'s page', response(502, { 'content-type': 'text/html' }, '<h1>Bad größe</h1>'), { kind: 'http 502', message: '<h1>Bad größe</h1>' }],
    ['nothing', response(500, {}, ''), { kind: 'http 500', message: 'The body is empty' }],
    ['an error with status 200', response(200, json, error), { kind: 'error in answer queue_full', message: 'The queue is full' }],
    ['a whole answer', response(200, json, '{"choices":[]}'), { kind: 'not a stream', message: 'The answer is application/json, not text/event-stream' }],
    ['a page with status 200', response(200, { 'content-type': 'text/html' }, '<h1>Hello</h1>'), { kind: 'not a stream', message: 'The answer is text/html, not text/event-stream' }],
    ['a redirection', response(307, { location: '/v2/chat/completions' }, 'Elsewhere'), { kind: 'http 307', message: expect.stringMatching(/^It redirects to http:\/\/127\.0\.0\.1:\d+\/v2\/chat\/completions; the benchmark follows no/) as string }],
    ['a redirection to another host', response(308, { location: 'https://b.example/v1' }, ''), { kind: 'http 308', message: expect.stringContaining('It redirects to https://b.example/v1;') as string }],
    ['a compressed stream', response(200, { 'content-type': 'text/event-stream', 'content-encoding': 'gzip' }, gzipSync(done)), { kind: 'compressed answer', message: expect.stringContaining('is compressed (gzip)') as string }],
    ['a compressed error', response(503, { ...json, 'content-encoding': 'br' }, 'x'), { kind: 'http 503', message: expect.stringContaining('is compressed (br)') as string }]
  ])('are told by what they say: %s', async (_, answer, failure) => {
    expect((await askOnce(answer)).failure).toEqual(failure)
  })

  it('are told by what they say where nothing is streamed, too', async () => {
    expect((await askOnce(response(200, json, error), { isStreaming: false })).failure).toEqual({ kind: 'error in answer queue_full', message: 'The queue is full' })
    expect((await askOnce(response(200, json, ''), { isStreaming: false })).failure).toEqual({ kind: 'invalid answer', message: 'The body is empty' })
  })

  it('keep their connections', async () => {
    await using server = await WireServer.start(({ socket }) => socket.write(response(429, json, error)))
    using connections = new Connections(server.url)
    await ask(connections, server.url)
    await ask(connections, server.url)
    expect(server.connections).toBe(1)
  })

  it('are ended when a line has no end', async () => {
    await using server = await WireServer.start(({ socket }) => {
      socket.write(`${streamHead}1ffffff\r\ndata: `)
      const more = Buffer.alloc(1024 * 1024, 'x')
      const next = (): void => { if (socket.writable) socket.write(more, next) }
      next()
    })
    using connections = new Connections(server.url)
    expect((await ask(connections, server.url)).failure).toEqual({ kind: 'invalid answer', message: 'An event of the stream has more than 16 Mi characters and no end' })
  })

  it('are told by the error in a stream, also when the connection breaks after it', async () => {
    await using server = await WireServer.start(({ socket }) => socket.write(streamHead + framed(event({ error: { message: 'It died', code: 'engine_crashed' } })), () => socket.destroy()))
    using connections = new Connections(server.url)
    expect((await ask(connections, server.url)).failure).toEqual({ kind: 'error in stream engine_crashed', message: 'It died' })
  })

  it.each(['push', 'end'] as const)('cost one request alone when reading them throws in %s', async (method) => {
    vi.spyOn(AnswerReader.prototype, method).mockImplementationOnce(() => { throw new RangeError('Invalid string length') })
    await using server = await WireServer.start(({ socket }) => socket.write(streamHead + framed(chunk('a', 'stop')) + bodyEnd))
    using connections = new Connections(server.url)
    expect((await ask(connections, server.url)).failure).toEqual({ kind: 'invalid answer', message: 'Invalid string length' })
    expect(await ask(connections, server.url)).toMatchObject({ text: 'a', failure: null })
  })
})
