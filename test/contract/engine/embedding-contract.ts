import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { asLaneId, asToken, type Token } from '../../../src/domain/ids.ts'
import type { Engine } from '../../../src/engine/engine.ts'

export interface EmbeddingFixture {
  /** A mean, so that the vectors of all texts differ in any model. */
  readonly pooling: 'mean'
  readonly size: number
  readonly maxTokens: number
}

const texts = ['the river bank', 'a river runs by the old bank', 'hello, hello', 'Hello World! 123', 'x', 'naïve café — 日本語']

const framed = (engine: Engine, text: string): readonly Token[] => {
  const { frame } = embeddingOf(engine)
  return [...frame.before, ...engine.tokenizer.tokenize(text, { special: false }), ...frame.after]
}

export function embeddingOf ({ info: { embedding } }: Engine): NonNullable<Engine['info']['embedding']> {
  if (embedding === undefined) throw new Error('The engine makes no vectors')
  return embedding
}

const lane = asLaneId(0)

/** What every engine promises that makes vectors. One embedding model with two lanes is made for all tests. */
export function describeEmbeddings (name: string, create: () => Promise<Engine>, fixture: EmbeddingFixture): void {
  describe(`embedding contract: ${name}`, () => {
    let engine: Engine
    beforeAll(async () => { engine = await create() })
    afterAll(async () => { await engine[Symbol.asyncDispose]() })

    it('says what it makes', () => {
      expect(embeddingOf(engine)).toMatchObject({ ...fixture, laneCount: 2 })
      expect(engine.info.canGenerate).toBe(false)
      expect(engine.info.slotsPerLane).toBeGreaterThan(0)
    })

    it('makes vectors that differ with the text, and only with it', async () => {
      const vectors = new Map<string, Float32Array>()
      for (const text of texts) vectors.set(text, await engine.embed(lane, framed(engine, text)))
      for (const [text, vector] of vectors) {
        expect(vector).toHaveLength(fixture.size)
        expect(vector.every(Number.isFinite)).toBe(true)
        // After others and in the other lane it is the same, bit by bit.
        expect(await engine.embed(asLaneId(1), framed(engine, text))).toEqual(vector)
      }
      expect(new Set([...vectors.values()].map((vector) => vector.join())).size).toBe(texts.length)
    })

    it('embeds in its lanes at the same time', async () => {
      const [first = [], second = []] = texts.map((text) => framed(engine, text))
      const alone = [await engine.embed(lane, first), await engine.embed(lane, second)]
      for (let round = 0; round < 10; round++) {
        expect(await Promise.all([engine.embed(lane, first), engine.embed(asLaneId(1), second)])).toEqual(alone)
      }
    })

    it('takes the longest input, and refuses longer ones and what else is wrong without harm', async () => {
      const tokens = (length: number): Token[] => Array.from({ length }, () => asToken(7))
      const before = await engine.embed(lane, tokens(3))
      expect(await engine.embed(lane, tokens(fixture.maxTokens))).toHaveLength(fixture.size)
      const refused = { code: 'engine_error' }
      await expect(engine.embed(lane, tokens(fixture.maxTokens + 1))).rejects.toMatchObject(refused)
      await expect(engine.embed(lane, [])).rejects.toMatchObject(refused)
      await expect(engine.embed(lane, [asToken(engine.info.model.vocabularySize)])).rejects.toMatchObject(refused)
      await expect(engine.embed(lane, [asToken(-1)])).rejects.toMatchObject(refused)
      await expect(engine.embed(asLaneId(2), tokens(3))).rejects.toMatchObject(refused)
      expect(await engine.embed(lane, tokens(3))).toEqual(before)
    })

    it('refuses a second input in a lane that is busy', async () => {
      const tokens = framed(engine, texts[0] ?? '')
      const first = engine.embed(lane, tokens)
      await expect(engine.embed(lane, tokens)).rejects.toMatchObject({ code: 'engine_error' })
      expect(await first).toHaveLength(fixture.size)
    })
  })
}

/** What every engine promises that ranks documents. */
export function describeRanking (name: string, create: () => Promise<Engine>): void {
  describe(`ranking contract: ${name}`, () => {
    let engine: Engine
    beforeAll(async () => { engine = await create() })
    afterAll(async () => { await engine[Symbol.asyncDispose]() })

    it('gives probabilities that hang on query and document', async () => {
      expect(embeddingOf(engine)).toMatchObject({ pooling: 'rank', size: 1 })
      const { frame } = embeddingOf(engine)
      expect(frame.between.length).toBeGreaterThan(0)
      const score = async (query: string, document: string): Promise<number> => {
        const [value = NaN] = await engine.embed(lane, [
          ...frame.before, ...engine.tokenizer.tokenize(query, { special: false }), ...frame.between,
          ...engine.tokenizer.tokenize(document, { special: false }), ...frame.after
        ])
        return value
      }
      const scores = [
        await score('the river', 'the river runs by'), await score('the river', 'hello world'), await score('13 oceans', 'the river runs by')
      ]
      for (const value of scores) {
        expect(value).toBeGreaterThan(0)
        expect(value).toBeLessThan(1)
      }
      expect(scores[1]).not.toBe(scores[0])
      expect(scores[2]).not.toBe(scores[0])
      expect(await score('the river', 'the river runs by')).toBe(scores[0])
    })
  })
}
