import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { asTenantId, asToken } from '../../../src/domain/ids.ts'
import type { EmbeddingEvent, Inference } from '../../../src/inference/inference.ts'
import { collectEvents, embeddingRequest, generationRequest, neverAborted } from '../../support/generation.ts'
import { patience } from '../../support/patience.ts'

export interface EmbeddingLimits {
  readonly laneCount: number
  readonly slotsPerLane: number
  readonly contextSize: number
  readonly maxStepTokens: number
  readonly maxQueue: number
}

const limits: EmbeddingLimits = { laneCount: 2, slotsPerLane: 1, contextSize: 128, maxStepTokens: 128, maxQueue: 4 }

const texts = ['the river bank', 'hello', 'a', 'one two three four', 'the river bank']

/** What every implementation of {@link Inference} must do with an embedding model. */
export function describeEmbeddingInference (name: string, create: (limits: EmbeddingLimits) => Promise<Inference>): void {
  describe(`embedding contract: ${name}`, () => {
    let inference: Inference
    beforeAll(async () => { inference = await create(limits) })
    afterAll(async () => { await inference?.[Symbol.asyncDispose]() })

    const vectorsOf = (events: readonly EmbeddingEvent[]): Map<number, Float32Array> =>
      new Map(events.flatMap((event) => event.type === 'embedded' ? [[event.input, event.vector] as const] : []))
    const embed = async (...parameters: Parameters<typeof embeddingRequest>): Promise<EmbeddingEvent[]> =>
      await collectEvents(inference.embed(embeddingRequest(...parameters), neverAborted))
    const isIdle = async (): Promise<void> => await vi.waitFor(() => {
      const { requests, running, waiting } = inference.snapshot()
      expect({ requests, running, waiting }).toEqual({ requests: 0, running: 0, waiting: 0 })
    }, patience)

    it('tells of every input once, between the first and the last event', async () => {
      const events = await embed(texts)
      expect(events[0]).toMatchObject({ type: 'accepted' })
      expect(events.at(-1)).toMatchObject({ type: 'finished', queuedMs: expect.any(Number) as number })
      expect(events.slice(1, -1).map((event) => event.type === 'embedded' ? event.input : null).toSorted()).toEqual([0, 1, 2, 3, 4])
      const vectors = vectorsOf(events)
      expect(vectors.get(0)).toHaveLength(inference.info.embedding?.size ?? NaN)
      expect(vectors.get(4)).toEqual(vectors.get(0))
      expect(vectors.get(1)).not.toEqual(vectors.get(0))
    })

    it('counts the tokens of all inputs, frames included, and makes of them what it makes of the texts', async () => {
      const tokens = await Promise.all(texts.map(async (text) =>
        await inference.tokenize({ segments: [{ text, origin: 'user' }] }, { addBos: true })))
      const promptTokens = tokens.reduce((sum, { length }) => sum + length, 0)
      const events = await embed(texts)
      expect([events[0], events.at(-1)]).toMatchObject([{ promptTokens }, { promptTokens }])
      const { before = [], after = [] } = inference.info.embedding?.frame ?? {}
      expect(tokens[0]?.slice(0, 1)).toEqual(before)
      expect(tokens[0]?.slice(-1)).toEqual(after)
      const again = await embed([], { inputs: tokens.map((input) => ({ tokens: input })) })
      expect(vectorsOf(again)).toEqual(vectorsOf(events))
    })

    it('makes the same vectors in a crowd as alone', async () => {
      const alone = vectorsOf(await embed(texts))
      const crowd = await Promise.all(Array.from({ length: 4 }, async (_, index) => await embed(texts, { tenant: asTenantId(`tenant ${index}`) })))
      for (const events of crowd) expect(vectorsOf(events)).toEqual(alone)
    })

    it('names the input that is too long, has no tokens or too many bytes', async () => {
      const long = Array.from({ length: 200 }, () => 'a').join(' ')
      await expect(embed(['a', long])).rejects.toMatchObject({ code: 'context_length_exceeded', param: 'input[1]' })
      await expect(embed([], { inputs: [{ tokens: [] }] })).rejects.toMatchObject({ code: 'invalid_value', param: 'input[0]' })
      await expect(embed([], { inputs: [{ tokens: Array.from({ length: 129 }, () => asToken(1)) }] })).rejects.toMatchObject({ code: 'context_length_exceeded' })
      await expect(embed(['x'.repeat(1024 * 1024 + 1)])).rejects.toMatchObject({ param: 'input[0]' })
      await expect(embed(['a'], { query: 'b' })).rejects.toMatchObject({ code: 'unsupported_value' })
      await isIdle()
    })

    it('writes no text', async () => {
      await expect(collectEvents(inference.generate(generationRequest('a'), neverAborted))).rejects.toMatchObject({ code: 'unsupported_value', param: 'model' })
    })

    it('ends when the signal fires or the reader leaves, and nothing of it is left', async () => {
      const many = Array.from({ length: 500 }, (_, index) => `text ${index}`)
      const controller = new AbortController()
      const first = inference.embed(embeddingRequest(many), controller.signal)[Symbol.asyncIterator]()
      await first.next()
      await first.next()
      controller.abort()
      await expect((async () => { while ((await first.next()).done !== true); })()).rejects.toMatchObject({ code: 'request_aborted' })
      const second = inference.embed(embeddingRequest(many), neverAborted)[Symbol.asyncIterator]()
      await second.next()
      await second.return?.()
      await isIdle()
      await expect(collectEvents(inference.embed(embeddingRequest(many), controller.signal))).rejects.toMatchObject({ code: 'request_aborted' })
    })

    it('serves a short request while a long one runs', async () => {
      const many = Array.from({ length: 2000 }, (_, index) => `text ${index}`)
      let isLongDone = false
      const long = embed(many, { tenant: asTenantId('greedy') }).then(() => { isLongDone = true })
      await embed(['hello'], { tenant: asTenantId('modest') })
      expect(isLongDone).toBe(false)
      await long
    })

    it('refuses what its queue does not hold, and ends what waited too long', async () => {
      const many = Array.from({ length: 1000 }, (_, index) => `text ${index}`)
      const [first, ...others] = await Promise.allSettled([
        embed(many), ...Array.from({ length: 8 }, async () => await embed(many, { queueTimeoutMs: 1 }))
      ])
      expect(first.status).toBe('fulfilled')
      const codes = others.map((result) => result.status === 'rejected' ? (result.reason as { code: string }).code : 'none')
      expect(new Set(codes)).toEqual(new Set(['queue_full', 'queue_timeout']))
      await isIdle()
    })

    it('counts what it did', async () => {
      const before = inference.snapshot()
      await embed(texts)
      await isIdle()
      await vi.waitFor(() => {
        const after = inference.snapshot()
        expect(after.embeddedInputs - before.embeddedInputs).toBe(texts.length)
        expect(after.steps - before.steps).toBe(texts.length)
        expect(after.promptTokens).toBeGreaterThan(before.promptTokens)
        expect(after.lastStepAt).not.toBeNull()
      }, patience)
    })

    it('lets running requests finish when it is closed, and takes no more', async () => {
      const closing = await create(limits)
      const running = collectEvents(closing.embed(embeddingRequest(texts), neverAborted))
      const closed = closing.close()
      await expect(collectEvents(closing.embed(embeddingRequest(texts), neverAborted))).rejects.toMatchObject({ code: 'server_draining' })
      expect(vectorsOf(await running).size).toBe(texts.length)
      await closed
    })
  })
}
