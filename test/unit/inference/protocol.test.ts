import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { EmbeddingEvent, GenerationEvent } from '../../../src/inference/inference.ts'
import { decodeEmbeddingEvent, decodeEvent, encodeEmbeddingEvent, encodeEvent, wireCode, type WireEmbeddingEvent, type WireEvent } from '../../../src/inference/protocol.ts'

const count = fc.nat()
const text = fc.string({ unit: 'grapheme' })
const candidate = fc.record({
  token: text,
  logprob: fc.oneof(fc.double({ max: 0, noNaN: true, noDefaultInfinity: true }), fc.constant(-Infinity)),
  bytes: fc.array(fc.nat({ max: 255 }), { maxLength: 4 })
})
const logprobs = fc.array(
  fc.tuple(candidate, fc.array(candidate, { maxLength: 3 })).map(([own, top]) => ({ ...own, top })), { maxLength: 3 })
const plainText = { type: fc.constant('text' as const), choice: count, text, drawnTokens: count }

const event: fc.Arbitrary<GenerationEvent> = fc.oneof(
  fc.record({ type: fc.constant('accepted' as const), promptTokens: count }),
  fc.record({ type: fc.constant('choice-started' as const), choice: count, cachedTokens: count, queuedMs: count }),
  fc.record(plainText),
  fc.record({ ...plainText, logprobs }),
  fc.record({
    type: fc.constant('choice-finished' as const),
    choice: count,
    reason: fc.constantFrom('stop' as const, 'length' as const),
    stopText: fc.option(text),
    completionTokens: count
  }),
  fc.record({ type: fc.constant('finished' as const), promptTokens: count, cachedTokens: count, completionTokens: count }),
  fc.record({
    type: fc.constant('finished' as const),
    promptTokens: count,
    cachedTokens: count,
    completionTokens: count,
    prediction: fc.record({ accepted: count, rejected: count })
  })
)

type Decodable = Parameters<typeof decodeEvent>[0]
const isEvent = (wire: WireEvent): wire is Decodable => wire[1] !== wireCode.failed

describe('the protocol of engine processes', () => {
  it('gives every event back as it was, through JSON', () => {
    fc.assert(fc.property(count, event, (call, original) => {
      const wire = JSON.parse(JSON.stringify(encodeEvent(call, original))) as WireEvent
      expect(wire[0]).toBe(call)
      // JSON writes -0 as 0.
      if (!isEvent(wire)) throw new Error('An event became a failure')
      expect(JSON.stringify(decodeEvent(wire))).toBe(JSON.stringify(original))
      expect(infinities(decodeEvent(wire))).toEqual(infinities(original))
    }))
  })

  it('gives every vector back bit by bit', () => {
    const embedding: fc.Arbitrary<EmbeddingEvent> = fc.oneof(
      fc.record({ type: fc.constant('accepted' as const), promptTokens: count }),
      fc.record({ type: fc.constant('embedded' as const), input: count, vector: fc.float32Array() }),
      fc.record({ type: fc.constant('finished' as const), promptTokens: count, queuedMs: count })
    )
    fc.assert(fc.property(count, embedding, (call, original) => {
      const wire = JSON.parse(JSON.stringify(encodeEmbeddingEvent(call, original))) as WireEmbeddingEvent
      expect(wire[0]).toBe(call)
      expect(decodeEmbeddingEvent(wire)).toEqual(original)
    }))
  })

  it('spends few bytes on a token', () => {
    const wire = encodeEvent(12_345, { type: 'text', choice: 0, text: ' bridge', drawnTokens: 100 })
    expect(JSON.stringify(wire)).toBe('[12345,2,0," bridge",100]')
  })
})

function infinities (event: GenerationEvent): boolean[] {
  if (event.type !== 'text') return []
  return (event.logprobs ?? []).flatMap(({ logprob, top }) =>
    [logprob, ...top.map((other) => other.logprob)].map((value) => value === -Infinity))
}
