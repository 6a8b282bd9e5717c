import { describe, expect, it } from 'vitest'
import { terminalReport, warningsOf, withoutControls } from '../../../src/bench/report/terminal.ts'
import type { BenchReport, BenchRun } from '../../../src/bench/report/bench-run.ts'
import { compareRuns } from '../../../src/bench/report/compare.ts'
import { recordOf, runOf } from './records.ts'

const reportOf = (runs: readonly BenchRun[], rest: Partial<BenchReport> = {}): BenchReport => ({
  drawbridge_bench: 1,
  command: 'drawbridge bench',
  machine: { date: '', version: '', node: '', platform: '', cpu: '', cores: 2, memoryBytes: 1, loadAverage: 0 },
  runs,
  saturation: [],
  comparison: null,
  ...rest
})

const failure = { kind: 'http 500', message: 'Broken \u001b[31mred\u0007' }

describe('the terminal report', () => {
  it('has all figures of a single run', () => {
    const text = terminalReport(reportOf([runOf([recordOf(), recordOf({ failure })], { objectives: { ttft: 200 } })]))
    for (const part of ['1 completed, 1 failed', '| TTFT |', '| E2EL |', '50.0 % of all (ttft 200 ms)', '1 × http 500: Broken', 'Warning: 1 of 2 requests failed']) {
      expect(text).toContain(part)
    }
  })

  it('says how evenly tenants were served, and who was not', () => {
    const text = terminalReport(reportOf([runOf([recordOf({ tenant: 'a' }), recordOf({ tenant: 'b', ttftMs: 300 })], {
      tenants: [{ name: 'a', users: 1 }, { name: 'b', users: 1 }, { name: 'c', users: 0 }], maxConcurrency: 2
    })]))
    expect(text).toContain("Jain's index: 1.000 of output tokens per user, 1.000 of the share of requests that were completed, 0.800 of mean TTFT")
    expect(text).toContain('Warning: Nothing was sent for tenant c: with concurrency 2 not each of the 3 has a user.')
  })

  it('has a line for each of several runs, their saturation and their ratios', () => {
    const runs = [1, 2].map((repetition) => runOf([recordOf()], { server: 'a', repetition }))
    const others = [1, 2].map((repetition) => runOf([recordOf({ gapMs: 40 })], { server: 'b', repetition }))
    const text = terminalReport(reportOf([...runs, ...others], {
      saturation: [{ server: 'a', axis: 'concurrency', at: 2, measure: 'output_throughput', best: 1, explanation: 'Enough' }], comparison: compareRuns(runs, others)
    }))
    expect(text.split('\n').filter((line) => line.startsWith('| concurrency 1 '))).toHaveLength(4)
    expect(text).toContain('a: Enough.')
    expect(text).toMatch(/\| mean_itl_ms +\| +20\.0 \| +40\.0 \| +2\.00 \| +2\.00–2\.00 \| +a \|/)
  })

  it('says when there was nothing', () => {
    expect(terminalReport(reportOf([]))).toBe('Nothing was answered.')
  })

  it('says what was never sent, and what was cut short', () => {
    const run = runOf([recordOf()], { never_sent: 7, cut_short: 3, load: { type: 'open', description: '9/s' } })
    const text = terminalReport(reportOf([run]))
    expect(text).toContain('Warning: 7 of the arrivals (9/s) came too late to be sent within the run: the load was less than asked for.')
    expect(text).toMatch(/^conversations +3 ended by the run's limit before their last request$/m)
    expect(warningsOf(runOf([recordOf()], { never_sent: 7, was_interrupted: true }))).toHaveLength(1)
    expect(terminalReport(reportOf([runOf([recordOf()])]))).not.toMatch(/conversations|arrivals/)
  })

  it('says what was interrupted', () => {
    const cut = runOf([recordOf()], { was_interrupted: true })
    expect(terminalReport(reportOf([cut]))).toMatch(/^a · m · concurrency 1 · w · interrupted\n[^]*Warning: This run was interrupted/)
    expect(terminalReport(reportOf([runOf([recordOf()]), cut]))).toMatch(/\| concurrency 1 +\|[^]*\| concurrency 1 \(interrupted\) +\|/)
    expect(terminalReport(reportOf([runOf([recordOf()])]))).not.toContain('interrupted')
  })

  it('says what came instead of answers', () => {
    const refused = { kind: 'http 429 queue_full', message: 'Come back' }
    expect(warningsOf(runOf([recordOf({ failure: refused }), recordOf({ failure: refused })]))).toEqual(['All 2 requests failed, each with http 429 queue_full'])
    expect(warningsOf(runOf([recordOf({ failure: refused }), recordOf({ failure })]))).toEqual(['All 2 requests failed'])
  })

  it('warns of all that makes figures doubtful', () => {
    const run = runOf([recordOf({ outputTokens: null, outputTimes: [100, 2000], endedAt: 2000 }), recordOf({ failure })])
    expect(warningsOf(run)).toEqual([
      '1 of 2 requests failed; latencies are of the others',
      'For 1 requests the server told no usage; token figures and TPOT are without them',
      '1 times a stream stood still for more than a second, once for 1,900 ms'
    ])
    expect(warningsOf(runOf([recordOf()]))).toEqual([])
  })

  it('lets no server write to the terminal', () => {
    expect(withoutControls('a\u001b[2J\u0007\r\u009b31m\tb\nc')).toBe('a\ufffd[2J\ufffd\ufffd\ufffd31m\ufffdb\nc')
  })
})
