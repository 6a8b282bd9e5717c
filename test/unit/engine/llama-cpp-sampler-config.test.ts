import { describe, expect, it } from 'vitest'
import { asToken } from '../../../src/domain/ids.ts'
import { defaultSampling, greedySampling, type Sampling } from '../../../src/domain/sampling.ts'
import type { NativeSamplerConfig } from '../../../src/engine/llama-cpp/native.ts'
import { samplerConfig } from '../../../src/engine/llama-cpp/sampler-config.ts'

const configOf = (options: Partial<Sampling>, index = 0, historyLength = 70): NativeSamplerConfig => samplerConfig({
  sampling: { ...defaultSampling(1), ...options },
  index,
  history: Array.from({ length: historyLength }, (_, at) => asToken(at)),
  answerCounts: new Map(),
  breakers: new Map(),
  grammar: null,
  endTokens: [asToken(2)]
})

describe('llama.cpp sampler config', () => {
  it('throws other dice at every position and for every seed, and none for greedy draws', () => {
    const seeds = Array.from({ length: 100 }, (_, index) => configOf({}, index).seed)
    expect(new Set(seeds).size).toBe(100)
    expect(new Set(Array.from({ length: 100 }, (_, seed) => configOf({ seed }).seed)).size).toBe(100)
    expect(new Set(Array.from({ length: 100 }, (_, index) => configOf(greedySampling, index).seed)).size).toBe(1)
    expect(new Set(Array.from({ length: 100 }, (_, index) => configOf({ temperature: 0, xtcProbability: 0.5 }, index).seed)).size).toBe(100)
  })

  // llama.cpp allocates and fills rings of this length, in each slot.
  it.each([
    [70, 64, 64], [70, 100, 100], [70, 70, 70], [70, 2_147_483_647, 128], [70, 2 ** 40, 128], [70, -1, 128], [1, 1e9, 64], [0, 1e9, undefined], [70, 0, undefined]
  ])('gives a repeat penalty over %i tokens with repeatLastN %i a window of %s', (historyLength, repeatLastN, window) => {
    const config = configOf({ repeatPenalty: 1.1, repeatLastN }, 0, historyLength)
    expect(config.repeatPenaltyMaxTokens).toBe(window)
    if (window === undefined) return
    const count = repeatLastN < 0 ? historyLength : Math.min(repeatLastN, historyLength)
    expect([...config.repeatPenaltyTokens ?? []]).toEqual(Array.from({ length: count }, (_, at) => historyLength - count + at))
  })

  it('keeps topK within what llama.cpp can count', () => {
    expect(configOf({ topK: 40 }).topK).toBe(40)
    expect(configOf({ topK: 2 ** 32 + 1 }).topK).toBe(2 ** 31 - 1)
    expect(configOf({ topK: 0 })).not.toHaveProperty('topK')
  })

  it('bans by -100 and by minTokens, and adds up what is given to one token', () => {
    const { tokenBiasKeys, tokenBiasValues } = configOf({ logitBias: [[5, -100], [6, 2.5], [2, 100]], minTokens: 1 })
    expect(Object.fromEntries([...tokenBiasKeys ?? []].map((key, at) => [key, tokenBiasValues?.[at]])))
      .toEqual({ 5: -Infinity, 6: 2.5, 2: -Infinity })
  })
})
