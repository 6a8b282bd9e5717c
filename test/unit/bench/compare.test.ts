import { describe, expect, it } from 'vitest'
import { compareRuns } from '../../../src/bench/report/compare.ts'
import { backlogGrowthOf, findSaturation } from '../../../src/bench/report/saturation.ts'
import type { BenchRun, Ratio } from '../../../src/bench/report/bench-run.ts'
import { betterOf, suspiciousCacheShare } from '../../../src/bench/report/verdict.ts'
import { recordOf, runOf } from './records.ts'

/** Ten requests, one after the other, with gaps of so many ms between tokens. */
const runWith = (server: string, gapMs: number, repetition = 1, concurrency = 1): BenchRun => runOf(
  Array.from({ length: 10 }, (_, index) => recordOf({ sentAt: index * 1000, ttftMs: gapMs, gapMs, tokens: 10 })),
  { server, repetition, maxConcurrency: concurrency, load: { type: 'closed', description: `concurrency ${concurrency}` } }
)

describe('compareRuns', () => {
  it('divides B by A within each repetition, and gives the spread', () => {
    const { loads, a, b } = compareRuns([runWith('a', 20, 1), runWith('a', 40, 2)], [runWith('b', 20, 2), runWith('b', 30, 1)])
    expect([a, b, loads.length]).toEqual(['a', 'b', 1])
    const itl = loads[0]?.ratios.find(({ measure }) => measure === 'mean_itl_ms')
    expect(itl).toMatchObject({ isHigherBetter: false, ratios: [1.5, 0.5], median: 1, min: 0.5, max: 1.5, a: 30, b: 25 })
    expect(loads[0]?.ratios.find(({ measure }) => measure === 'output_throughput')?.isHigherBetter).toBe(true)
  })

  it('compares loads that both have', () => {
    const { loads } = compareRuns([runWith('a', 20, 1, 1), runWith('a', 20, 1, 2)], [runWith('b', 20, 1, 2)])
    expect(loads.map(({ description }) => description)).toEqual(['concurrency 2'])
  })

  it('leaves out what one of them does not have', () => {
    const failed = runOf([recordOf({ failure: { kind: 'stalled', message: '' } })], { server: 'b' })
    const { loads } = compareRuns([runWith('a', 20)], [failed])
    expect(loads[0]?.ratios.map(({ measure }) => measure)).toEqual(['output_throughput', 'request_throughput'])
    expect(loads[0]?.ratios[0]?.median).toBe(0)
  })
})

describe('betterOf', () => {
  const ratio = (median: number, min: number, max: number, isHigherBetter = true, pairs = 3): Ratio =>
    ({ measure: 'x', isHigherBetter, a: 1, b: median, ratios: Array<number>(pairs).fill(median), median, min, max })

  it('is sure only where every pair agrees, and by more than 2 %', () => {
    expect(betterOf(ratio(1.2, 1.1, 1.3))).toBe('b')
    expect(betterOf(ratio(0.8, 0.7, 0.9))).toBe('a')
    expect(betterOf(ratio(0.8, 0.7, 0.9, false))).toBe('b')
    expect(betterOf(ratio(1.2, 0.9, 1.3))).toBeNull()
    expect(betterOf(ratio(1.01, 1.005, 1.015))).toBeNull()
    expect(betterOf(ratio(2, 2, 2, true, 1))).toBeNull()
  })
})

describe('suspiciousCacheShare', () => {
  it('is that of a server that was asked the same before', () => {
    expect(suspiciousCacheShare(runOf([recordOf({ inputTokens: 100, cachedTokens: 80 })]))).toBe(0.8)
    expect(suspiciousCacheShare(runOf([recordOf({ inputTokens: 100, cachedTokens: 10 })]))).toBeNull()
    expect(suspiciousCacheShare(runOf([recordOf({ inputTokens: 100, cachedTokens: 80 })], { asks_anew: false }))).toBeNull()
  })
})

describe('findSaturation', () => {
  /** As many tokens per second as wanted. */
  const runAt = (concurrency: number, tokensPerSecond: number): BenchRun => runOf(
    [recordOf({ outputTokens: tokensPerSecond, endedAt: 1000 })], { maxConcurrency: concurrency })

  it('finds the least concurrency that gets the best', () => {
    const runs = [[1, 100], [2, 190], [4, 350], [8, 360], [16, 355]].map(([concurrency = 0, rate = 0]) => runAt(concurrency, rate))
    expect(findSaturation(runs, 'concurrency')).toMatchObject({ axis: 'concurrency', at: 4, best_output_throughput: 360 })
  })

  it('says when the end was not reached', () => {
    expect(findSaturation([runAt(1, 100), runAt(2, 200)], 'concurrency')).toMatchObject({ at: null, explanation: 'Throughput still grew at concurrency 2; try more' })
    expect(findSaturation([runAt(1, 100)], 'concurrency')).toBeNull()
  })

  /** Requests come at a rate; a server answers so many per second, one after the other. */
  function queueRun (rate: number, capacity: number): BenchRun {
    let freeAt = 0
    return runOf(Array.from({ length: rate * 20 }, (_, index) => {
      const sentAt = index * 1000 / rate
      freeAt = Math.max(freeAt, sentAt) + 1000 / capacity
      return recordOf({ sentAt, endedAt: freeAt, tokens: 1, ttftMs: freeAt - sentAt })
    }), { requestRate: rate, maxConcurrency: null, load: { type: 'open', description: `${rate}/s` } })
  }

  it('finds the first rate at which a server falls behind, by its backlog', () => {
    const runs = [5, 9, 12, 20].map((rate) => queueRun(rate, 10))
    expect(findSaturation(runs, 'rate')).toMatchObject({ at: 12, explanation: expect.stringContaining('it kept up with 9/s') })
    expect(backlogGrowthOf(queueRun(12, 10))).toBeCloseTo(2, 0)
    expect(findSaturation([queueRun(5, 10), queueRun(9, 10)], 'rate')).toMatchObject({ at: null })
  })

  it('takes refusals for falling behind', () => {
    const refusing = runOf([recordOf({ failure: { kind: 'http 429', message: '' } })], { requestRate: 4, maxConcurrency: null })
    expect(findSaturation([queueRun(2, 10), refusing], 'rate')).toMatchObject({ at: 4 })
  })
})
