import fc from 'fast-check'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { longestEventLength, SseDecoder } from '../../../src/bench/client/sse-decoder.ts'

afterEach(() => { vi.restoreAllMocks() })

function decode (parts: readonly Buffer[], isOver = false): string[] {
  const found: string[] = []
  const decoder = new SseDecoder((data) => found.push(data))
  for (const part of parts) decoder.push(part)
  if (isOver) decoder.end()
  return found
}

const stream = Buffer.from(': keep-alive\n\ndata: {"a":1}\n\nevent: x\r\ndata: zwei\r\ndata:drei\r\n\r\nid: 4\n\ndata: größer 😀\n\ndata: a\rdata:b\r\rdata: [DONE]\n\ndata: never ended')

describe('SseDecoder', () => {
  it('finds the data of events, and nothing of comments, names and ids', () => {
    expect(decode([stream])).toEqual(['{"a":1}', 'zwei\ndrei', 'größer 😀', 'a\nb', '[DONE]'])
  })

  it('finds the same wherever the bytes are parted', () => {
    fc.assert(fc.property(fc.uniqueArray(fc.nat(stream.length), { maxLength: 20 }), (cuts) => {
      const borders = [0, ...cuts.sort((a, b) => a - b), stream.length]
      const parts = borders.slice(1).map((end, index) => stream.subarray(borders[index], end))
      expect(decode(parts)).toEqual(decode([stream]))
    }))
  })

  it('knows all three ends of lines', () => {
    for (const end of ['\n', '\r\n', '\r']) expect(decode([Buffer.from(`data: a${end}data: b${end}${end}data: c${end}${end}`)])).toEqual(['a\nb', 'c'])
  })

  it('does not wait for what may follow a CR', () => {
    expect(decode([Buffer.from('data: a\r\r')])).toEqual(['a'])
    // The LF belongs to the second CR, and is no third line end.
    expect(decode([Buffer.from('data: a\r\r'), Buffer.from('\ndata: b\n'), Buffer.from('\n')])).toEqual(['a', 'b'])
    expect(decode([Buffer.from('data: a\r'), Buffer.from('\ndata: b\r\n\r\n')])).toEqual(['a\nb'])
  })

  it('leaves out a byte order mark, at the start alone', () => {
    expect(decode([Buffer.from('\ufeffdata: a\n\n'), Buffer.from('\ufeffdata: b\n\n')])).toEqual(['a'])
  })

  it('takes the last event without its blank line when the stream is over', () => {
    expect(decode([Buffer.from('data: a\n\ndata: b')], true)).toEqual(['a', 'b'])
    expect(decode([Buffer.from('data: a\n\ndata: b\n')], true)).toEqual(['a', 'b'])
    expect(decode([Buffer.from('data: a\n\nid: 1')], true)).toEqual(['a'])
    expect(decode([Buffer.from('data: größ').subarray(0, -1)], true)).toEqual(['grö\ufffd'])
  })

  it('searches a line once, however many parts it comes in', () => {
    const { indexOf } = String.prototype
    let searched = 0
    vi.spyOn(String.prototype, 'indexOf').mockImplementation(function (this: string, text: string, from = 0) {
      searched += this.length - from
      return indexOf.call(this, text, from)
    })
    const parts = [Buffer.from('data: '), ...Array.from({ length: 1000 }, () => Buffer.from('x'.repeat(10))), Buffer.from('\n\n')]
    const found = decode(parts)
    vi.restoreAllMocks()
    expect(found).toEqual(['x'.repeat(10_000)])
    // Once for each of two line ends.
    expect(searched).toBeLessThan(2.1 * 10_000)
  })

  it.each([['a line', 'x'], ['an event', `\ndata: ${'x'.repeat(1000)}`]])('gives up on %s without end', (_, more) => {
    const decoder = new SseDecoder(() => {})
    const part = Buffer.from(more.repeat(1024))
    const feed = (): void => { for (let length = 0; length <= 2 * longestEventLength; length += part.length) decoder.push(part) }
    decoder.push(Buffer.from('data: '))
    expect(feed).toThrow('An event of the stream has more than 16 Mi characters and no end')
  })

  it('takes long events that end', () => {
    const text = 'x'.repeat(longestEventLength - 10)
    expect(decode([Buffer.from(`data: ${text}`), Buffer.from('\n\n')])[0]?.length).toBe(text.length)
  })
})
