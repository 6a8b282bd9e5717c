import { describe, expect, it } from 'vitest'
import { compareRuns } from '../../../src/bench/report/compare.ts'
import { backlogGrowthOf, findSaturation, saturationsOf } from '../../../src/bench/report/saturation.ts'
import type { BenchRun, Ratio } from '../../../src/bench/report/bench-run.ts'
import { betterOf, suspiciousCacheShare } from '../../../src/bench/report/verdict.ts'
import { capacityOf, hasGained } from '../../../src/bench/report/throughput.ts'
import type { RunFacts } from '../../../src/bench/measure/bench-run.ts'
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

  it('pairs runs of the same repetition, and none that was interrupted', () => {
    const interrupted = runOf([recordOf()], { server: 'b', repetition: 1, was_interrupted: true })
    const { loads } = compareRuns([runWith('a', 20, 1), runWith('a', 40, 2)], [interrupted, runWith('b', 30, 2)])
    expect(loads[0]?.ratios.find(({ measure }) => measure === 'mean_itl_ms')).toMatchObject({ ratios: [0.75], a: 40, b: 30 })
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

  it('does not count the chat template, which is most of a short prompt', () => {
    const short = recordOf({ inputTokens: 40, cachedTokens: 32 })
    const silent = recordOf({ inputTokens: null, outputTokens: null })
    expect(suspiciousCacheShare(runOf([short, short, silent], { template_tokens: 31 }))).toBeNull()
    expect(suspiciousCacheShare(runOf([short, short, silent], { template_tokens: 20 }))).toBe(0.6)
    expect(suspiciousCacheShare(runOf([short], { template_tokens: 40 }))).toBeNull()
  })
})

describe('findSaturation', () => {
  /** As many tokens per second as wanted. */
  const runAt = (concurrency: number, tokensPerSecond: number): BenchRun => runOf(
    [recordOf({ outputTokens: tokensPerSecond, endedAt: 1000 })], { maxConcurrency: concurrency })

  it('finds the least concurrency that gets the best', () => {
    const runs = [[1, 100], [2, 190], [4, 350], [8, 360], [16, 355]].map(([concurrency = 0, rate = 0]) => runAt(concurrency, rate))
    expect(findSaturation(runs, 'concurrency')).toMatchObject({ axis: 'concurrency', at: 4, measure: 'output_throughput', best: 360 })
  })

  it('goes by whole runs', () => {
    const cut = { ...runAt(8, 1000), drawbridge: { ...runAt(8, 1000).drawbridge, was_interrupted: true } }
    expect(findSaturation([runAt(1, 100), runAt(2, 200), runAt(4, 200), cut], 'concurrency')).toMatchObject({ at: 2, best: 200 })
    expect(findSaturation([runAt(1, 100), cut], 'concurrency')).toBeNull()
  })

  it('takes what is 5 % less for less', () => {
    const runs = [[1, 100], [2, 186], [4, 200], [8, 196]].map(([concurrency = 0, rate = 0]) => runAt(concurrency, rate))
    expect(findSaturation(runs, 'concurrency')).toMatchObject({ at: 4, explanation: 'From concurrency 4 on, more gains less than 5 % of output tokens/s and only waits' })
  })

  it('goes by requests where the server tells no usage', () => {
    const silent = (concurrency: number, requests: number): BenchRun => runOf(
      Array.from({ length: requests }, (_, index) => recordOf({ outputTokens: index === 0 ? 500 / concurrency : null, endedAt: 1000 })), { maxConcurrency: concurrency })
    expect(findSaturation([silent(1, 10), silent(2, 20), silent(4, 20)], 'concurrency')).toEqual({
      axis: 'concurrency', at: 2, measure: 'request_throughput', best: 20, explanation: 'From concurrency 2 on, more gains less than 5 % of requests/s and only waits'
    })
  })

  it('says when nothing was answered', () => {
    const refused = (fields: Partial<RunFacts>): BenchRun => runOf([recordOf({ failure: { kind: 'http 429', message: '' } })], fields)
    expect(findSaturation([refused({ maxConcurrency: 1 }), refused({ maxConcurrency: 2 })], 'concurrency'))
      .toEqual({ axis: 'concurrency', at: null, measure: 'output_throughput', best: 0, explanation: 'Nothing was answered at any concurrency' })
    expect(findSaturation([refused({ requestRate: 1 }), refused({ requestRate: 2 })], 'rate')).toMatchObject({ at: null, explanation: 'Nothing was answered at any rate' })
  })

  it('is found for each server, by what was varied', () => {
    const runs = ['a', 'b'].flatMap((server) => [1, 2].map((concurrency) => runWith(server, 20, 1, concurrency)))
    expect(saturationsOf(runs).map(({ server, axis }) => [server, axis])).toEqual([['a', 'concurrency'], ['b', 'concurrency']])
    expect(saturationsOf([queueRun(5, 10), queueRun(12, 10)]).map(({ server, axis, at }) => [server, axis, at])).toEqual([['a', 'rate', 12]])
    expect(saturationsOf([runWith('a', 20)])).toEqual([])
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

describe('hasGained', () => {
  const at = (tokens: number | null, server = 'a', requests = 1): BenchRun => runOf(Array.from({ length: requests }, () => recordOf({ outputTokens: tokens, endedAt: 1000 })), { server })

  it('is so when some server does more than ever, by 5 %', () => {
    expect(hasGained([], [at(100)])).toBe(true)
    expect(hasGained([at(100)], [at(106)])).toBe(true)
    expect(hasGained([at(100), at(50)], [at(104)])).toBe(false)
    expect(hasGained([at(100), at(100, 'b')], [at(100), at(110, 'b')])).toBe(true)
    expect(hasGained([at(0)], [at(0)])).toBe(false)
  })

  it('goes by requests where the server tells no usage', () => {
    expect(hasGained([at(null)], [at(null, 'a', 2)])).toBe(true)
    expect(hasGained([at(null, 'a', 2)], [at(null, 'a', 2)])).toBe(false)
    expect(hasGained([at(100)], [at(null, 'a', 2)])).toBe(true)
  })
})

describe('capacityOf', () => {
  it('is the steady part\'s, where there is one', () => {
    const run = runWith('a', 20)
    for (const requests of [7, 0]) {
      const steady = { seconds: 2, output_throughput: 1, request_throughput: requests }
      expect(capacityOf({ ...run, drawbridge: { ...run.drawbridge, steady } })).toBe(requests || run.request_throughput)
    }
    expect(capacityOf({ ...run, drawbridge: { ...run.drawbridge, steady: null } })).toBe(run.request_throughput)
  })
})
