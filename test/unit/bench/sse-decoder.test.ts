import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { SseDecoder } from '../../../src/bench/client/sse-decoder.ts'

function decode (parts: readonly Buffer[]): string[] {
  const found: string[] = []
  const decoder = new SseDecoder((data) => found.push(data))
  for (const part of parts) decoder.push(part)
  return found
}

const stream = Buffer.from(': keep-alive\n\ndata: {"a":1}\n\nevent: x\r\ndata: zwei\r\ndata:drei\r\n\r\nid: 4\n\ndata: größer 😀\n\ndata: [DONE]\n\ndata: never ended')

describe('SseDecoder', () => {
  it('finds the data of events, and nothing of comments, names and ids', () => {
    expect(decode([stream])).toEqual(['{"a":1}', 'zwei\ndrei', 'größer 😀', '[DONE]'])
  })

  it('finds the same wherever the bytes are parted', () => {
    fc.assert(fc.property(fc.uniqueArray(fc.nat(stream.length), { maxLength: 20 }), (cuts) => {
      const borders = [0, ...cuts.sort((a, b) => a - b), stream.length]
      const parts = borders.slice(1).map((end, index) => stream.subarray(borders[index], end))
      expect(decode(parts)).toEqual(decode([stream]))
    }))
  })
})
