import { describe, expect, it } from 'vitest'
import { decodeDuration, decodeRuns, fitCosts, measureSteps, type StepSample } from '../../../bench/engine/step-costs.ts'
import { createFakeEngine } from '../../../src/engine/fake/fake-engine.ts'
import type { SlotWork } from '../../../src/scheduler/plan.ts'

const steps = (duration: (decodes: number, promptTokens: number) => number): readonly StepSample[] =>
  [0, 1, 4, 8].flatMap((decodes) => [0, 16, 65, 257].flatMap((promptTokens) =>
    decodes + promptTokens === 0 ? [] : [{ decodes, promptTokens, durationMs: duration(decodes, promptTokens) }]))

describe('fitCosts', () => {
  it('finds the costs that the steps were made with', () => {
    const fit = fitCosts(steps((decodes, promptTokens) => (decodes === 0 ? 2 : 20 + decodes) + 0.04 * promptTokens))
    expect(fit.decodeSteps).toEqual([[1, 21], [4, 24], [8, 28]])
    expect(fit.stepMs).toBeCloseTo(2)
    expect(fit.prefillTokenMs).toBeCloseTo(0.04)
    expect(fit.worstError).toBeCloseTo(0)
  })

  it('makes no cost negative, and says how wrong it is', () => {
    const fit = fitCosts(steps((decodes, promptTokens) => Math.max(0.1, 0.2 * promptTokens - 3 + decodes * 0.01)))
    expect(Math.min(fit.stepMs, fit.prefillTokenMs)).toBeGreaterThanOrEqual(0)
    expect(fit.meanError).toBeGreaterThan(0.05)
    expect(fit.worstError).toBeGreaterThanOrEqual(fit.meanError)
  })

  it('wants steps that differ', () => {
    expect(() => fitCosts([{ decodes: 1, promptTokens: 0, durationMs: 1 }])).toThrow('too much alike')
  })

  it.each([[0, 3], [1, 10], [2, 20], [4, 24], [3, 22], [8, 32], [12, 40]])('takes %i decodes for %f ms', (decodes, durationMs) => {
    expect(decodeDuration([[1, 10], [2, 20], [4, 24], [8, 32]], 3, decodes)).toBeCloseTo(durationMs)
  })
})

describe('decodeRuns', () => {
  const work = (slots: string): SlotWork[] => [...slots].flatMap((kind, slot) => kind === '.'
    ? []
    : [{ slot, ...(kind === 'd' ? { sample: { index: 3 } } : kind === 'f' ? { sample: { index: 0 } } : {}) } as unknown as SlotWork])

  it.each([
    // By slot: one that decodes, one that reads and draws its first token, one that only reads, one without work.
    ['dddd', [4]],
    ['dd.dd', [2, 2]],
    ['.d..d.d', [1, 1, 1]],
    ['dfd.rd', [2, 1]],
    ['fr.f', []],
    ['', []]
  ])('are parted by gaps: %s', (slots, runs) => {
    expect(decodeRuns({ work: work(slots).toReversed() })).toEqual(runs)
  })
})

describe('measureSteps', () => {
  it('makes plans that the engine carries out, of every kind', async () => {
    const engine = createFakeEngine({ slotsPerLane: 5, maxStepTokens: 128, contextSize: 512 })
    const planIds = (function * () { for (let id = 1; ; id++) yield id })()
    const samples = await measureSteps(engine, { batchSize: 4, contextTokens: 200, threads: 1, repetitions: 2 }, planIds, new AbortController().signal)
    expect(engine.violations).toEqual([])
    const kinds = new Set(samples.map(({ decodes, promptTokens }) => `${decodes}+${promptTokens}`))
    expect(samples).toHaveLength(2 * kinds.size)
    expect([...kinds]).toEqual(expect.arrayContaining(['0+65', '1+0', '4+0', '4+65']))
  })
})
