import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { chooseSetting, type ComputeSetting, costOf, type MeasuredSetting, type Speed, threadCandidates } from '../../../src/engine/llama-cpp/choose-setting.ts'

const usual: Speed = { promptTokenMs: 0.05, singleStepMs: 1, fullStepMs: 4 }
const measured = (setting: Partial<ComputeSetting>, speed: Partial<Speed> = {}): MeasuredSetting =>
  ({ setting: { threads: 4, flashAttention: true, ...setting }, speed: { ...usual, ...speed } })

describe('choosing a setting', () => {
  it('keeps the default when nothing else is clearly faster', () => {
    const standard = measured({})
    expect(chooseSetting([standard], 8)).toBe(standard.setting)
    expect(chooseSetting([standard, measured({ threads: 2 }, { promptTokenMs: 0.046, singleStepMs: 0.92, fullStepMs: 3.68 })], 8)).toBe(standard.setting)
  })

  it('takes what is more than a tenth faster', () => {
    expect(chooseSetting([measured({}), measured({ threads: 2 }, { promptTokenMs: 0.044, singleStepMs: 0.88, fullStepMs: 3.52 })], 8)).toMatchObject({ threads: 2 })
  })

  it('weighs decoding against reading prompts', () => {
    // The demo model on a processor with AVX-512: without flash attention it decodes twice as fast and reads prompts slower.
    expect(chooseSetting([
      measured({}, { promptTokenMs: 1 / 23, singleStepMs: 0.78, fullStepMs: 5.34 }),
      measured({ flashAttention: false }, { promptTokenMs: 1.7 / 23, singleStepMs: 0.4, fullStepMs: 2.7 })
    ], 8)).toEqual({ threads: 4, flashAttention: false })
    // The same gain is not worth it where prompts are read slowly.
    expect(chooseSetting([
      measured({}, { promptTokenMs: 1, singleStepMs: 2, fullStepMs: 8 }),
      measured({ flashAttention: false }, { promptTokenMs: 3, singleStepMs: 1, fullStepMs: 4 })
    ], 8)).toMatchObject({ flashAttention: true })
  })

  it('takes the fastest of several, wherever it stands', () => {
    const settings = [measured({}), measured({ threads: 2 }, { singleStepMs: 0.4, fullStepMs: 2 }), measured({ threads: 1 }, { singleStepMs: 0.5, fullStepMs: 2.5 })] as const
    expect(chooseSetting(settings, 8)).toMatchObject({ threads: 2 })
    expect(chooseSetting([settings[0], settings[2], settings[1]], 8)).toMatchObject({ threads: 2 })
  })

  it('never takes one that is slower in everything', () => {
    const speed = fc.record({ promptTokenMs: fc.double({ min: 0.001, max: 100 }), singleStepMs: fc.double({ min: 0.001, max: 100 }), fullStepMs: fc.double({ min: 0.001, max: 100 }) })
    fc.assert(fc.property(speed, fc.double({ min: 1, max: 3 }), fc.integer({ min: 1, max: 64 }), (standard, factor, slots) => {
      const slower = { promptTokenMs: standard.promptTokenMs * factor, singleStepMs: standard.singleStepMs * factor, fullStepMs: standard.fullStepMs * factor }
      expect(chooseSetting([measured({}, standard), measured({ threads: 1 }, slower)], slots)).toMatchObject({ threads: 4 })
    }))
  })

  it('counts a full lane by its tokens, not by its steps', () => {
    expect(costOf({ promptTokenMs: 0, singleStepMs: 4, fullStepMs: 4 }, 4)).toBe(2)
    expect(costOf({ promptTokenMs: 0, singleStepMs: 4, fullStepMs: 4 }, 1)).toBe(4)
  })
})

describe('thread counts worth trying', () => {
  it.each([
    [1, 1, [1]],
    [1, 2, [1, 2]],
    [4, 4, [4, 2, 1]],
    [6, 6, [6, 4, 2, 1]],
    [7, 8, [7, 8, 4, 2, 1]]
  ])('with %i by default and at most %i are %j', (standard, limit, counts) => {
    expect(threadCandidates(standard, limit)).toEqual(counts)
  })
})
