import type { FastifyReply } from 'fastify'
import { describe, expect, it } from 'vitest'
import { SseStream } from '../../../src/http/sse.ts'

/** A stream whose reader takes nothing until it is told to. */
function setUp (maxBufferedBytes: number) {
  const raw = {
    writableLength: 0,
    destroyed: false,
    writeHead: () => {},
    write: (text: string) => { raw.writableLength += Buffer.byteLength(text) },
    destroy: () => { raw.destroyed = true }
  }
  let overflows = 0
  const reply = { raw, hijack: () => {}, getHeaders: () => ({}) } as unknown as FastifyReply
  const stream = new SseStream(reply, { keepAliveMs: 60_000, maxBufferedBytes, onOverflow: () => { overflows++ } })
  return { raw, stream, overflows: () => overflows }
}

/** Large enough to go out at once. */
const large = 'x'.repeat(70_000)

describe('a stream whose reader is slow', () => {
  it('is cut off once more waits than may', async () => {
    const { raw, stream, overflows } = setUp(1000)
    stream.send('x'.repeat(1000))
    await new Promise(setImmediate)
    expect(overflows()).toBe(0)
    stream.send('y')
    await new Promise(setImmediate)
    expect([overflows(), raw.destroyed]).toEqual([1, true])
    stream.abandon()
  })

  it('is not cut off because single events are large', () => {
    const { raw, stream, overflows } = setUp(1000)
    for (let count = 0; count < 4; count++) stream.send(large)
    expect([overflows(), raw.destroyed, raw.writableLength]).toEqual([0, false, 280_000])
    raw.writableLength = 0
    for (let count = 0; count < 4; count++) stream.send(large)
    expect(overflows()).toBe(0)
    stream.send(large)
    expect([overflows(), raw.destroyed]).toEqual([1, true])
    stream.abandon()
  })

  it('counts bytes of large events, not characters', () => {
    const { stream, overflows } = setUp(1000)
    for (let count = 0; count < 4; count++) stream.send(large.replaceAll('x', '€'))
    expect(overflows()).toBe(0)
    stream.abandon()
  })
})
