import { describe, expect, it } from 'vitest'
import { quantile, summarizeLatencies } from '../../../src/bench/measure/latency-summary.ts'
import { e2elOf, itlsOf, tpotOf, ttftOf, type RequestRecord } from '../../../src/bench/measure/request-record.ts'
import { jainIndex } from '../../../src/bench/measure/fairness.ts'
import { isGood, parseObjectives } from '../../../src/bench/measure/objectives.ts'
import { starvationWarnings } from '../../../src/bench/measure/generator-watch.ts'
import { parseMetrics, serverMetricsBetween } from '../../../src/bench/measure/server-metrics.ts'
import { spreadOf } from '../../../src/bench/measure/spread.ts'
import { unaskedWarnings } from '../../../src/bench/report/verdict.ts'
import { recordOf, runOf } from './records.ts'

const failure = { kind: 'stalled', message: 'Nothing came' }

describe('the latencies of a request', () => {
  const record = recordOf({ sentAt: 50, tokens: 4, ttftMs: 100, gapMs: 20, endedAt: 230 })

  it('are as they are defined', () => {
    expect(ttftOf(record)).toBe(100)
    expect(itlsOf(record)).toEqual([20, 20, 20])
    expect(e2elOf(record)).toBe(180)
    expect(tpotOf(record)).toBeCloseTo((180 - 100) / 3)
  })

  it('take tokens from the usage, not from chunks', () => {
    expect(tpotOf({ ...record, outputTokens: 9 })).toBe(10)
    expect(tpotOf({ ...record, outputTokens: null })).toBeNull()
    expect(tpotOf({ ...record, outputTokens: 1 })).toBeNull()
  })

  it('have no TTFT without a stream', () => {
    expect(ttftOf({ ...record, outputTimes: [] })).toBeNull()
  })
})

describe('quantile', () => {
  it('is numpy\'s', () => {
    expect(quantile([1, 2, 3, 4], 0.5)).toBe(2.5)
    expect(quantile([15, 20, 35, 40, 50], 0.4)).toBeCloseTo(29)
    expect(quantile([7], 0.99)).toBe(7)
    expect(quantile([], 0.5)).toBe(0)
  })

  it('goes with the population\'s deviation', () => {
    expect(summarizeLatencies([4, 2])).toEqual({ count: 2, mean: 3, median: 3, std: 1, p50: 3, p90: 3.8, p95: 3.9, p99: 3.98, max: 4 })
  })
})

describe('spreadOf', () => {
  it('has the median, the least and the most', () => {
    expect(spreadOf([3, 10, 1, 2])).toEqual({ median: 2.5, min: 1, max: 10 })
    expect(spreadOf([100, 20, 3])).toEqual({ median: 20, min: 3, max: 100 })
  })
})

describe('summarizeRun', () => {
  /** A request every 100 ms, with a TTFT of 100, 110, … ms. */
  const records = Array.from({ length: 10 }, (_, index) => recordOf({ sentAt: index * 100, ttftMs: 100 + index * 10, tokens: 6 }))

  it('gives the percentiles that can be worked out by hand', () => {
    const run = runOf(records)
    expect(run.median_ttft_ms).toBe(145)
    expect(run.p90_ttft_ms).toBeCloseTo(181)
    expect(run.p99_ttft_ms).toBeCloseTo(189.1)
    expect([run.mean_itl_ms, run.p99_itl_ms, run.mean_tpot_ms, run.std_tpot_ms]).toEqual([20, 20, 20, 0])
    expect(run.median_e2el_ms).toBe(245)
    // The last one is sent at 900 ms and takes 290.
    expect(run.duration).toBeCloseTo(1.19)
    expect(run.output_throughput).toBeCloseTo(60 / 1.19)
    expect(run.total_token_throughput).toBeCloseTo(160 / 1.19)
    expect(run).toMatchObject({ completed: 10, failed: 0, total_input_tokens: 100, total_output_tokens: 60, num_prompts: 10 })
  })

  it('has lists as vLLM has them: seconds, one member for each request', () => {
    const run = runOf(records)
    expect(run.ttfts.map((value) => Math.round(value * 1000))).toEqual([100, 110, 120, 130, 140, 150, 160, 170, 180, 190])
    expect(run.itls).toHaveLength(10)
    expect(run.itls[0]).toHaveLength(5)
    expect(run.errors).toEqual(Array(10).fill(''))
    expect(run.date).toBe('20261125-213804')
  })

  it('has lists of whole microseconds', () => {
    const run = runOf([recordOf({ sentAt: 1.000_123_4, scheduledAt: 0.5, outputTimes: [101.234_567_8, 121.1], endedAt: 130.7 / 3 + 100 })])
    expect([run.start_times, run.queue_times, run.ttfts, run.itls, run.latencies]).toEqual([[0.001], [0.0005], [0.100234], [[0.019865]], [0.142567]])
    expect(run.mean_ttft_ms).toBeCloseTo(100.234_444_4, 6)
  })

  it('does not average failures away', () => {
    const run = runOf([...records, recordOf({ sentAt: 100, ttftMs: 5, tokens: 2, failure }), recordOf({ sentAt: 100, endedAt: 61_000, tokens: 0, failure })])
    expect(run).toMatchObject({ completed: 10, failed: 2, total_output_tokens: 60, median_ttft_ms: 145 })
    expect(run.drawbridge.errors).toEqual([{ kind: 'stalled', count: 2, example: 'Nothing came' }])
    expect(run.errors.filter(Boolean)).toEqual(['stalled: Nothing came', 'stalled: Nothing came'])
    expect(run.duration).toBeCloseTo(61)
  })

  it('counts goodput over all requests, failed ones as bad', () => {
    const run = runOf([...records, recordOf({ failure })], { objectives: { ttft: 145 } })
    expect(run.request_goodput).toBeCloseTo(5 / 1.19)
    expect(run.drawbridge.good_share).toBeCloseTo(5 / 11)
    expect(runOf(records).request_goodput).toBeNull()
  })

  it('tells of stalls in streams that completed', () => {
    const run = runOf([recordOf({ outputTimes: [100, 120, 2620], endedAt: 2620 })])
    expect(run.drawbridge.stalls).toEqual({ count: 1, longest_ms: 2500 })
  })

  it('keeps requests without usage out of token figures, and counts them', () => {
    const run = runOf([recordOf(), recordOf({ outputTokens: null, inputTokens: null })])
    expect(run).toMatchObject({ total_output_tokens: 3, completed: 2 })
    expect(run.drawbridge).toMatchObject({ requests_without_usage: 1, latencies: { tpot: { count: 1 }, ttft: { count: 2 } } })
  })

  it('divides by model, tenant and kind, and says how fair it was', () => {
    const run = runOf([recordOf({ tenant: 'a', tokens: 30 }), recordOf({ tenant: 'b', tokens: 10 })], {
      tenants: [{ name: 'a', users: 3 }, { name: 'b', users: 1 }]
    })
    expect(run.drawbridge.per_tenant.map(({ name, output_tokens: tokens }) => [name, tokens])).toEqual([['a', 30], ['b', 10]])
    expect(run.drawbridge.fairness.tenants.output_tokens).toBeCloseTo(1)
    expect(run.drawbridge.fairness.models.output_tokens).toBeNull()
    expect(run.drawbridge.per_kind.map(({ name }) => name)).toEqual(['chat'])
  })

  it('takes no latency of failed requests into the shares', () => {
    const run = runOf([recordOf({ tenant: 'a' }), recordOf({ tenant: 'a', ttftMs: 900, tokens: 9, failure })], { tenants: [{ name: 'a', users: 1 }] })
    expect(run.drawbridge.per_tenant).toMatchObject([{
      requests: 2, completed: 1, failed: 1, output_tokens: 3, latencies: { ttft: { count: 1, max: 100 }, itl: { count: 2 }, tpot: { count: 1 }, e2el: { count: 1, max: 140 } }
    }])
  })

  it('has a timeline whose tokens are all of the run\'s', () => {
    const run = runOf(Array.from({ length: 20 }, (_, index) => recordOf({ sentAt: index * 250, tokens: 7 })))
    expect(run.drawbridge.timeline.reduce((sum, point) => sum + point.output_tokens, 0)).toBeCloseTo(140)
    expect(run.drawbridge.timeline.map(({ second }) => second)).toEqual([0, 1, 2, 3, 4])
    // Each request takes 220 of 250 ms.
    expect(run.drawbridge.timeline[1]?.running).toBeCloseTo(0.88)
  })

  it('finds the steady part between the slopes', () => {
    // Two users; one token every 100 ms each, from 0 to 4 s.
    const steady = Array.from({ length: 8 }, (_, index) => recordOf({ sentAt: Math.floor(index / 2) * 1000, ttftMs: 100, gapMs: 100, tokens: 10 }))
    const run = runOf(steady, { maxRunning: 2, lastSentAt: 3000 })
    expect(run.drawbridge.steady).toEqual({ seconds: 3, output_throughput: 20, request_throughput: 2 })
    expect(runOf(steady.slice(0, 2), { maxRunning: 2, lastSentAt: 0 }).drawbridge.steady).toBeNull()
  })

  it('counts the steady part of a closed loop from when all users wait, not from the first request', () => {
    // One request of 1 s after the other; at 2 s a second user comes.
    const first = Array.from({ length: 6 }, (_, index) => recordOf({ sentAt: index * 1000, ttftMs: 100, gapMs: 100, tokens: 10 }))
    const second = Array.from({ length: 4 }, (_, index) => recordOf({ sentAt: 2000 + index * 1000, ttftMs: 100, gapMs: 100, tokens: 10 }))
    const run = runOf([...first, ...second], { maxRunning: 2, lastSentAt: 5000 })
    expect(run.drawbridge.steady).toEqual({ seconds: 3, output_throughput: 20, request_throughput: 2 })
    expect(run.max_concurrent_requests).toBe(2)
  })

  it('counts the steady part of an open loop from when the first answers come', () => {
    // A request each 500 ms, each taking 2 s: from 2 s on as many end as come.
    const records = Array.from({ length: 13 }, (_, index) => recordOf({ sentAt: index * 500, ttftMs: 2000, tokens: 1 }))
    expect(runOf(records, { maxRunning: 4, lastSentAt: 6000, load: { type: 'open', description: '2/s' } }).drawbridge.steady)
      .toEqual({ seconds: 4, output_throughput: 2, request_throughput: 2 })
  })

  it('is not upset by nothing', () => {
    const run = runOf([])
    expect(run).toMatchObject({ completed: 0, duration: 0, output_throughput: 0, p99_ttft_ms: 0 })
    expect(JSON.stringify(run)).not.toMatch(/null,"median|NaN/)
  })

  it('takes a hundred thousand requests', () => {
    const many = Array.from({ length: 100_000 }, (_, index) => recordOf({ sentAt: index / 100 }))
    expect(runOf(many).completed).toBe(100_000)
  })
})

describe('objectives', () => {
  it('are read with spaces and commas', () => {
    expect(parseObjectives(['ttft:200 tpot:50', 'e2e:900,itl:80.5'])).toEqual({ ttft: 200, tpot: 50, e2el: 900, itl: 80.5 })
    expect(() => parseObjectives(['speed:3'])).toThrow('--goodput is "speed:3", but must be like ttft:200')
  })

  it('must all be met; for gaps the longest counts', () => {
    const record = recordOf({ outputTimes: [100, 120, 200], endedAt: 200 })
    expect(isGood(record, { ttft: 100, tpot: 50, e2el: 200, itl: 80 })).toBe(true)
    for (const goal of [{ ttft: 99 }, { tpot: 49 }, { e2el: 199 }, { itl: 79 }]) expect(isGood(record, goal)).toBe(false)
    expect(isGood({ ...record, failure }, { ttft: 1000 })).toBe(false)
    expect(isGood({ ...record, outputTimes: [] }, { ttft: 1000 })).toBe(false)
  })
})

describe('Jain\'s index', () => {
  it('is 1 for equals, and 1/n when one has everything', () => {
    expect(jainIndex([3, 3, 3])).toBe(1)
    expect(jainIndex([5, 0, 0, 0])).toBe(0.25)
    expect(jainIndex([5])).toBeNull()
    expect(jainIndex([0, 0])).toBeNull()
  })

  /** Requests of tenants and models, by name; those in capitals fail. */
  const askedBy = (names: string): RequestRecord[] => [...names].map((name) => recordOf({
    tenant: name.toLowerCase(), model: name.toLowerCase(), ...(name === name.toLowerCase() ? {} : { failure })
  }))

  it('is of tokens per user where tenants have users', () => {
    const tenants = [{ name: 'a', users: 4 }, { name: 'b', users: 1 }]
    const { per_tenant: shares, fairness } = runOf(askedBy('aaaab'), { tenants }).drawbridge
    expect(shares.map(({ weight }) => weight)).toEqual([0.8, 0.2])
    expect(fairness.tenants).toEqual({ output_tokens: 1, completed: 1, ttft: 1 })
    expect(runOf(askedBy('aaaa'.repeat(3) + 'b'), { tenants }).drawbridge.fairness.tenants.output_tokens).toBeCloseTo(0.8)
  })

  it('does not measure how the bench draws models, and tenants of an open loop', () => {
    const facts = { models: ['a', 'b'], tenants: [{ name: 'a', users: null }, { name: 'b', users: null }], load: { type: 'open', description: '1/s' } } as const
    const { per_model: shares, fairness } = runOf(askedBy('aaaaaaab'), facts).drawbridge
    expect(shares.map(({ weight }) => weight)).toEqual([0.875, 0.125])
    expect(fairness).toEqual({ models: { output_tokens: null, completed: 1, ttft: 1 }, tenants: { output_tokens: null, completed: 1, ttft: 1 } })
    // Of a's requests all were completed, of b's a third.
    expect(runOf(askedBy('aabBB'), facts).drawbridge.fairness.tenants.completed).toBeCloseTo(0.8)
  })

  it('leaves out a tenant without users', () => {
    const run = runOf(askedBy('aaab'), { tenants: [{ name: 'a', users: 3 }, { name: 'b', users: 1 }, { name: 'c', users: 0 }], models: ['a'], maxConcurrency: 2 })
    expect(run.drawbridge.fairness.tenants).toEqual({ output_tokens: 1, completed: 1, ttft: 1 })
    expect(unaskedWarnings(run)).toEqual(['Nothing was sent for tenant c: with concurrency 2 not each of the 3 has a user'])
    expect(unaskedWarnings(runOf(askedBy('a'), { models: ['a', 'b', 'c'] }))).toEqual(['Nothing was sent for models b, c'])
  })
})

describe('the generator\'s warnings', () => {
  it('come when it was busy, late, or sent late', () => {
    expect(starvationWarnings(0.5, 3, 2)).toEqual([])
    expect(starvationWarnings(0.9, 3, null)[0]).toContain('busy 90 %')
    expect(starvationWarnings(0.1, 30, null)[0]).toContain('late by 30 ms')
    expect(starvationWarnings(0.1, 3, 80)[0]).toContain('sent 80 ms')
  })
})

describe('the server\'s metrics', () => {
  const text = (sum: number, hits: number): string => `# HELP x\nvllm:request_queue_time_seconds_sum{model_name="a"} ${sum}
vllm:request_queue_time_seconds_count{model_name="a"} ${sum * 10}\nvllm:request_queue_time_seconds_bucket{le="1"} 99
vllm:prefix_cache_hits_total{model_name="a"} ${hits}\nvllm:prefix_cache_hits_total{model_name="b"} 1\nvllm:prefix_cache_queries_total 100\n`

  it('are the difference of two samples', () => {
    const after = parseMetrics(text(3, 40).replace('queries_total 100', 'queries_total 200'))
    expect(serverMetricsBetween(parseMetrics(text(1, 10)), after)).toEqual({ mean_queue_ms: 100, prefix_hit_rate: 0.3 })
  })

  it('are not there where the server has none', () => {
    expect(serverMetricsBetween(null, null)).toBeNull()
    expect(serverMetricsBetween(parseMetrics('up 1'), parseMetrics('up 1'))).toBeNull()
  })
})
