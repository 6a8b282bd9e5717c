import { beforeEach, describe, expect, it } from 'vitest'
import { asSequenceId, asToken } from '../../../src/domain/ids.ts'
import { defaultSampling, greedySampling, type Sampling } from '../../../src/domain/sampling.ts'
import { draftBatchSize, Drafter, type DraftWish } from '../../../src/engine/llama-cpp/drafter.ts'
import { silentLogger } from '../../../src/engine/llama-cpp/engine-options.ts'
import type { NativeContext, NativeSamplerConfig } from '../../../src/engine/llama-cpp/native.ts'
import type { SamplingParts } from '../../../src/engine/llama-cpp/slot-sampler.ts'
import { samplerConfig } from '../../../src/engine/llama-cpp/sampler-config.ts'

const endToken = asToken(2)

/** A model that counts: after token n it draws n + 1. */
describe('llama.cpp drafter', () => {
  /** What was read, as `slot@position:tokens`, a list for each decode. */
  let decodes: string[][]
  let removed: unknown[][]
  let configs: NativeSamplerConfig[]
  let threads: number[]
  let warnings: string[]
  let failing: Error | null
  /** What follows a token, where it is not the next number. */
  let next: Map<number, number>

  beforeEach(() => {
    [decodes, removed, configs, threads, warnings, failing, next] = [[], [], [], [], [], null, new Map()]
  })

  const create = (slotsPerLane = 3, contextSize = 1000): Drafter => {
    let batch: { readonly text: string, readonly last: number }[] = []
    let logits: number[] = []
    const context = {
      initBatch: () => { batch = [] },
      addToBatch: (slot: number, position: number, tokens: Uint32Array, logitsFor: Uint32Array) => {
        batch.push({ text: `${slot}@${position}:${tokens.length > 6 ? `${tokens.length} tokens` : [...tokens].join(' ')}`, last: tokens.at(-1)! })
        return Uint32Array.from(logitsFor, () => batch.length - 1)
      },
      decodeBatch: async () => {
        if (failing !== null) throw failing
        decodes.push(batch.map(({ text }) => text))
        logits = batch.map(({ last }) => last)
      },
      sampleToken: async (index: number) => next.get(logits[index]!) ?? logits[index]! + 1,
      removeTokenCellsFromSequence: (...parameters: unknown[]) => {
        removed.push(parameters)
        return true
      },
      setThreads: (count: number) => { threads.push(count) },
      dispose: async () => {}
    } as unknown as NativeContext
    class AddonSampler {
      applyConfig (config: NativeSamplerConfig): void { configs.push(config) }
      dispose (): void {}
    }
    const parts = { bindings: { AddonSampler }, endTokens: [endToken], vocabularySize: 5000 } as unknown as SamplingParts
    const logger = { ...silentLogger, warn: (_: object, message: string) => { warnings.push(message) } }
    return new Drafter({ slotsPerLane, contextSize, vocabularySize: 4000, threads: 1, logger }, context, parts)
  }

  const wish = (slot: number, history: readonly number[], most: number, changes: { readonly sequence?: string, readonly sampling?: Sampling, readonly promptLength?: number } = {}): DraftWish => {
    const { sequence = `s${slot}`, sampling = greedySampling, promptLength = 1 } = changes
    return {
      slot, sequence: asSequenceId(sequence), most, sample: { sampling, index: history.length - promptLength, history: history.map(asToken), promptLength }
    }
  }
  const range = (from: number, length: number): number[] => Array.from({ length }, (_, at) => from + at)
  const guesses = async (drafter: Drafter, ...wishes: DraftWish[]): Promise<Record<number, readonly number[]>> =>
    Object.fromEntries([...await drafter.draft(wishes, 1)].map(([slot, { tokens }]) => [slot, tokens]))

  it('reads the sequence, then guesses one token for each slot in each decode', async () => {
    const drafter = create()
    expect(await guesses(drafter, wish(0, [10, 11], 3), wish(2, [50], 2))).toEqual({ 0: [12, 13, 14], 2: [51, 52] })
    expect(decodes).toEqual([['0@0:10 11', '2@0:50'], ['0@2:12', '2@1:51'], ['0@3:13']])
  })

  it('keeps what was right and what two sequences of a slot have in common, and reads the rest', async () => {
    const drafter = create()
    await guesses(drafter, wish(0, [10, 11], 3))
    decodes = []
    // The first two guesses were right.
    await guesses(drafter, wish(0, [10, 11, 12, 13, 80], 1))
    expect(decodes).toEqual([['0@4:80']])
    // All of them were.
    await guesses(drafter, wish(0, [10, 11, 12, 13, 80, 81, 82], 1))
    // Its first guess was wrong.
    await guesses(drafter, wish(0, [10, 11, 12, 13, 80, 81, 82, 90], 1))
    expect(decodes.slice(1)).toEqual([['0@5:81 82'], ['0@7:90']])
    // Another one, which begins alike.
    await guesses(drafter, wish(0, [10, 11, 12, 99], 1, { sequence: 'other' }))
    expect(removed.at(-1)).toEqual([0, 3, -1])
    expect(decodes.at(-1)).toEqual(['0@3:99'])
    // The same again: its last token is read anew.
    await guesses(drafter, wish(0, [10, 11, 12, 99], 1, { sequence: 'third' }))
    expect(decodes.at(-1)).toEqual(['0@3:99'])
  })

  it('reads what is long in pieces, and does not guess until it is done', async () => {
    const drafter = create()
    const long = range(100, 600)
    const first = await drafter.draft([wish(0, long, 2), wish(1, [10, 11], 1)], 1)
    expect(first.get(0)).toMatchObject({ tokens: [], outcome: { count: 0, durationMs: 0, isBehind: true } })
    expect(first.get(1)).toMatchObject({ tokens: [12], outcome: { count: 1 } })
    expect(first.get(1)!.outcome.isBehind).toBeUndefined()
    expect(decodes).toEqual([['0@0:256 tokens'], ['1@0:10 11']])
    expect(await guesses(drafter, wish(0, long, 2))).toEqual({ 0: [] })
    expect(await guesses(drafter, wish(0, long, 2))).toEqual({ 0: [700, 701] })
    expect(decodes.slice(2)).toEqual([['0@256:256 tokens'], ['0@512:87 tokens'], ['0@599:699'], ['0@600:700']])
  })

  it('shares a step’s reading among the slots, and never makes a batch larger than promised', async () => {
    const slots = 200
    const drafter = create(slots)
    expect(draftBatchSize(slots)).toBe(400)
    const wishes = (length: number): DraftWish[] => range(0, slots).map((slot) => wish(slot, range(100 + slot, length), 1))
    for (let steps = 0; Object.values(await guesses(drafter, ...wishes(5))).some(({ length }) => length === 0); steps++) expect(steps).toBeLessThan(10)
    await guesses(drafter, ...wishes(7))
    for (const batch of decodes) {
      const sizes = batch.map((text) => text.split(':')[1]!.split(' ').length)
      expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThanOrEqual(draftBatchSize(slots))
    }
  })

  it('ends with the answer, and never guesses its end', async () => {
    const drafter = create()
    next = new Map([[12, endToken], [51, 52]])
    expect(await guesses(drafter, wish(0, [10, 11], 5), wish(1, [50], 2))).toEqual({ 0: [12], 1: [51, 52] })
    next = new Map([[60, endToken]])
    expect((await drafter.draft([wish(0, [60], 5)], 1)).get(0)).toMatchObject({ tokens: [], outcome: { count: 0 } })
  })

  it('does not go beyond its own context', async () => {
    const drafter = create(1, 10)
    expect(await guesses(drafter, wish(0, range(100, 8), 5))).toEqual({ 0: [108, 109] })
    expect(decodes.at(-1)).toEqual(['0@8:108'])
    expect(await guesses(drafter, wish(0, range(100, 10), 5))).toEqual({})
  })

  it('neither reads nor guesses tokens that only one of the models has', async () => {
    const drafter = create()
    expect(await guesses(drafter, wish(0, [10, 4000, 11], 5))).toEqual({})
    expect(decodes).toEqual([])
    expect(await guesses(drafter, wish(0, [3998], 5))).toEqual({ 0: [3999] })
  })

  it('draws with the sequence’s own sampling and the dice of the place', async () => {
    const drafter = create()
    const sampling: Sampling = { ...defaultSampling(7), temperature: 0.8, frequencyPenalty: 0.5, logprobs: 3 }
    await guesses(drafter, wish(0, [10, 11], 2, { sampling }))
    const expected = [[10, 11], [10, 11, 12]].map((history) => samplerConfig({
      sampling, index: history.length - 1, history: history.map(asToken), answerCounts: new Map(history.slice(1).map((token) => [token, 1])), breakers: new Map(), grammar: null, endTokens: [endToken]
    }))
    expect(configs).toEqual(expected)
  })

  it('leaves to the model what cannot be drawn at all', async () => {
    const drafter = create()
    const sampling: Sampling = { ...greedySampling, logitBias: [[4999, 1], [5000, 1]] }
    expect(await guesses(drafter, wish(0, [10], 2, { sampling }), wish(1, [50], 2))).toEqual({ 0: [], 1: [51, 52] })
  })

  it('computes with the threads of the plan', async () => {
    const drafter = create()
    for (const count of [1, 2, 2, 1]) await drafter.draft([wish(0, [10], 1)], count)
    expect(threads).toEqual([2, 1])
  })

  it('is given up when it fails, with a word in the log', async () => {
    const drafter = create()
    failing = new Error('no memory')
    expect(await guesses(drafter, wish(0, [10], 1))).toEqual({})
    failing = null
    expect(await guesses(drafter, wish(0, [10], 1))).toEqual({})
    expect(warnings).toEqual(['the draft model failed; it makes no more guesses'])
  })
})
