import { describe, expect, test } from 'vitest'
import type { BenchReport } from '../../../src/bench/report/bench-run.ts'
import { definitions } from '../../../src/bench/report/definitions.ts'
import { quantile } from '../../../src/bench/measure/latency-summary.ts'
import { distribution, pooledLatencies } from '../../../src/bench/report/html/distribution.ts'
import { htmlReport } from '../../../src/bench/report/html/html-report.ts'
import { escapeHtml, html } from '../../../src/bench/report/html/markup.ts'
import { durationText, fixedText, numberText, percentText, shortText } from '../../../src/bench/report/html/number-text.ts'
import { chooseSeries, groupIntoSeries } from '../../../src/bench/report/html/series.ts'
import { binSecondsFor, timelineBins } from '../../../src/bench/report/html/timeline.ts'
import { syntheticComparison, syntheticReport, syntheticRun } from './synthetic-report.ts'

const hostile = '<script>alert(1)</script>"\' onload=x &amp; ]]> \u202e\ud800\u0000'

const compared = [1, 2, 3].flatMap((repetition) => [
  syntheticRun({ seed: repetition, server: 'main', repetition }),
  syntheticRun({ seed: repetition + 10, server: 'branch', repetition, stepMs: 11 })
])

const compareSweep = [2, 32].flatMap((concurrency) => ['drawbridge', 'llama-server'].map((server, index) =>
  syntheticRun({ seed: concurrency, server, concurrency, stepMs: 12 + index * 3, requests: 80 })))

const loads = [1, 4, 16, 32].map((concurrency) => syntheticRun({ concurrency, requests: 100 }))

const saturated = {
  server: 'drawbridge', axis: 'concurrency', at: 16, measure: 'output_throughput', best: 700, explanation: 'Beyond it, only waiting grows'
} as const

const reports = {
  'of a single run': syntheticReport([syntheticRun()]),
  'of a sweep': syntheticReport(loads, { saturation: [saturated] }),
  'of a sweep of rates': syntheticReport([1, 2, 4].map((rate) => syntheticRun({ rate, hasObjectives: true, requests: 60 })), {
    saturation: [{ ...saturated, axis: 'rate', at: null }]
  }),
  'of a comparison with repetitions': syntheticReport(compared, { comparison: syntheticComparison('main', 'branch', compared) }),
  'of a comparison over loads': syntheticReport(compareSweep, {
    comparison: syntheticComparison('drawbridge', 'llama-server', compareSweep), saturation: [saturated, { ...saturated, server: 'llama-server' }]
  }),
  'with tenants, models and kinds': syntheticReport([syntheticRun({
    tenants: ['acme', 'globex'], models: ['demo', 'demo:poetry', 'demo:sql'], kinds: ['chat', 'completion'], failedShare: 0.1, hasObjectives: true
  })]),
  'of requests that all failed': syntheticReport([syntheticRun({ failedShare: 2, tenants: ['a', 'b'], hasObjectives: true })]),
  'of a single request': syntheticReport([syntheticRun({ requests: 1, concurrency: 1 })]),
  'of a single request that failed': syntheticReport([syntheticRun({ requests: 1, concurrency: 1, failedShare: 2 })]),
  'without streaming': syntheticReport([syntheticRun({ isStreaming: false })]),
  'without runs': syntheticReport([]),
  'with hostile names': syntheticReport([syntheticRun({
    server: hostile,
    model: hostile,
    models: [hostile, 'b'],
    tenants: [hostile, 'b'],
    kinds: [hostile, 'b'],
    failedShare: 0.3,
    error: { kind: hostile, count: 1, example: hostile.repeat(50) },
    details: {
      workload: hostile,
      url: 'javascript:alert(1)',
      load: { type: 'open', description: hostile },
      generator: {
        cpu_seconds: 1, cores: 1, chunks_per_second: 1, loop_delay_p99_ms: 900, lateness_p99_ms: 900, warnings: [hostile]
      }
    }
  })], { command: hostile, machine: { ...syntheticReport([]).machine, cpu: hostile, date: hostile, platform: hostile } })
}

describe.each(Object.entries(reports))('a report %s', (_, report) => {
  const text = htmlReport(report)

  test('is well-formed', () => { expect(unbalancedTag(text)).toBeNull() })

  test('has no numbers that are none', () => { expect(text).not.toMatch(/NaN|undefined|Infinity|\[object/) })

  test('loads nothing and runs nothing', () => {
    expect(text).toContain("content=\"default-src 'none'; style-src 'unsafe-inline'; img-src data:\"")
    const tags = [...text.matchAll(/<[a-z][^>]*>/gi)].map(([tag]) => tag)
    for (const tag of tags) {
      expect(tag).not.toMatch(/^<(script|iframe|object|embed|base|form|img|image|use|a)\b/i)
      expect(tag).not.toMatch(/\s(on\w+|src|srcset|action|xlink:href|formaction)\s*=/i)
      const href = /\shref\s*=\s*"([^"]*)"/i.exec(tag)?.[1]
      if (href !== undefined) expect(href).toMatch(/^(data:|#)/)
    }
    expect(text).not.toMatch(/@import|url\(/)
  })

  test('says what the words mean', () => {
    for (const { name } of definitions) expect(text).toContain(escapeHtml(name))
  })
})

test('what comes from outside is escaped', () => {
  const text = htmlReport(reports['with hostile names'])
  expect(text).not.toContain('<script')
  expect(text.isWellFormed()).toBe(true)
  for (const character of ['\u202e', '\u0000']) expect(text).not.toContain(character)
  expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39; onload=x &amp;amp; ]]&gt;')
  expect(html`<a title="${'" onload="x'}">${['<', html`<b>${1 / 3}</b>`, null, false]}</a>`.text)
    .toBe('<a title="&quot; onload=&quot;x">&lt;<b>0.33</b></a>')
})

test('sections are there only when there is something to show', () => {
  const headings = (report: keyof typeof reports) => [...htmlReport(reports[report]).matchAll(/<h2>(.*?)<\/h2>/gs)]
    .map(([, heading]) => heading?.replace(/<[^>]*>/g, ''))
  const tables = ['All latencies', 'Load generator', 'What the server says', 'What the words mean']
  expect(headings('of a single run')).toEqual(['Key numbers', 'Latencies', 'Over time', ...tables])
  expect(headings('of a sweep')).toEqual(['Key numbers', 'Against the load', 'Latencies', 'Over time', ...tables])
  expect(headings('of a comparison with repetitions'))
    .toEqual(['Key numbers', 'branch compared with main', 'Latencies', 'Over time', ...tables])
  expect(headings('with tenants, models and kinds'))
    .toEqual(['Key numbers', 'Latencies', 'Over time', 'By model', 'By tenant', 'By kind of request', 'Errors', ...tables])
  expect(headings('of requests that all failed')).toEqual(['Key numbers', 'Over time', 'By tenant', 'Errors', ...tables])
  expect(headings('without runs')).toEqual(['What the words mean'])
})

test('warnings come first', () => {
  const text = htmlReport(syntheticReport([syntheticRun({
    failedShare: 0.2,
    details: {
      requests_without_usage: 3,
      asks_anew: true,
      was_interrupted: true,
      stalls: { count: 2, longest_ms: 4200 },
      generator: {
        cpu_seconds: 9, cores: 0.98, chunks_per_second: 9000, loop_delay_p99_ms: 80, lateness_p99_ms: null, warnings: ['It used a whole core']
      }
    }
  })]))
  const warnings = text.slice(text.indexOf('aria-label="Warnings"'), text.indexOf('Key numbers'))
  for (const part of ['Interrupted.', 'ended after 200 requests', 'did not keep up', 'It used a whole core', 'failed.', '3 completed requests came without usage', '2 gaps, the longest 4.20 s', '% of the prompt tokens were in its cache']) {
    expect(warnings).toContain(part)
  }
  expect(htmlReport(reports['of a single run'])).not.toContain('aria-label="Warnings"')
})

test('a label is told where it says more than the server\'s name', () => {
  const label = (text: string) => /<dt>Label<\/dt><dd><bdi>(.*?)<\/bdi>/.exec(htmlReport(syntheticReport([{ ...syntheticRun(), label: text }])))?.[1]
  expect([label('drawbridge'), label('after the change')]).toEqual([undefined, 'after the change'])
})

test('a sweep of a server that tells no usage shows requests', () => {
  const plots = (report: BenchReport) => [...htmlReport(report).matchAll(/<figcaption><b>(.*?)<\/b> <span>(.*?)<\/span>/g)].map(([, name, unit]) => `${name} ${unit}`)
  expect(plots(reports['of a sweep'])[0]).toBe('Output tokens/s')
  const silent = [1, 4].map((concurrency) => syntheticRun({ concurrency, requests: 20, details: { requests_without_usage: 20 } }))
  const report = syntheticReport(silent, { saturation: [{ ...saturated, measure: 'request_throughput', best: 7.5 }] })
  expect(plots(report)[0]).toBe('Requests completed requests/s')
  expect(htmlReport(report)).toContain('at best 7.50 requests/s. Beyond it, only waiting grows.</li>')
})

test('a load that was not sent in full is told of', () => {
  const text = htmlReport(syntheticReport([syntheticRun({ rate: 4, details: { never_sent: 12 } })]))
  expect(text).toMatch(/<b>Not all was sent\.<\/b>[^]*12 of the arrivals/)
})

test('a comparison is coloured only where every pair agrees', () => {
  const ratio = (measure: string, isHigherBetter: boolean, ratios: readonly number[]) => ({
    measure, isHigherBetter, a: 1, b: ratios[0] ?? 1, ratios, median: ratios[1] ?? ratios[0] ?? 1, min: Math.min(...ratios), max: Math.max(...ratios)
  })
  const text = htmlReport(syntheticReport(compared, {
    comparison: {
      a: 'main',
      b: 'branch',
      differences: [],
      loads: [{
        description: '8 at a time',
        ratios: [
          ratio('output_throughput', true, [1.1, 1.2, 1.3]), ratio('request_throughput', true, [0.7, 0.8, 0.9]),
          ratio('mean_ttft_ms', false, [0.7, 0.8, 0.9]), ratio('p99_ttft_ms', false, [0.9, 1, 1.1]),
          ratio('mean_e2el_ms', false, [0.5]), ratio('failed', false, [Infinity, NaN, 1])
        ]
      }]
    }
  }))
  const verdicts = [...text.matchAll(/<td class="number (better|worse|unclear)"><b>(.*?)<\/b>/g)].map(([, verdict, median]) => [verdict, median])
  expect(verdicts).toEqual([
    ['better', '1.200'], ['worse', '0.800'], ['better', '0.800'], ['unclear', '1.000'], ['unclear', '0.500'], ['unclear', '–']
  ])
  expect(text).not.toMatch(/NaN|Infinity/)
})

describe('distributions', () => {
  test('rise from the smallest value to all of them', () => {
    const values = Float64Array.from({ length: 100_000 }, (_, index) => Math.sqrt(index))
    const points = distribution(values)
    expect(points.length).toBeLessThanOrEqual(400)
    expect(points[0]).toEqual({ value: 0, share: 1 / 100_000 })
    expect(points.at(-1)).toEqual({ value: Math.sqrt(99_999), share: 1 })
    points.forEach(({ value, share }, index) => {
      const before = points[index - 1]
      if (before === undefined) return
      expect(value).toBeGreaterThan(before.value)
      expect(share).toBeGreaterThan(before.share)
    })
  })

  test('have one step for equal values', () => {
    expect(distribution(Float64Array.of(0, 0, 0, 5))).toEqual([{ value: 0, share: 0.75 }, { value: 5, share: 1 }])
    expect(distribution(Float64Array.of(7))).toEqual([{ value: 7, share: 1 }])
    expect(distribution(Float64Array.of())).toEqual([])
  })

  test('have curves that never fall', () => {
    const text = htmlReport(reports['of a sweep'])
    const plots = [...text.matchAll(/aria-label="Distribution of.*?<\/svg>/gs)].map(([plot]) => plot)
    expect(plots).toHaveLength(4)
    for (const plot of plots) {
      const paths = [...plot.matchAll(/<path class="line"\s[^>]*?d="([^"]*)"/g)].map(([, path]) => path ?? '')
      expect(paths).toHaveLength(loads.length)
      for (const path of paths) {
        const right = [...path.matchAll(/[MH]([\d.]+)/g)].map(([, x]) => Number(x))
        const up = [...path.matchAll(/V([\d.]+)/g)].map(([, y]) => Number(y))
        expect(right).toEqual(right.toSorted((a, b) => a - b))
        expect(up).toEqual(up.toSorted((a, b) => b - a))
      }
    }
  })

  test('pool the completed requests of repetitions, in ms', () => {
    const run = {
      ...syntheticRun({ requests: 4 }),
      errors: ['', 'failed', '', ''],
      latencies: [1, 9, 2, 0.5],
      ttfts: [0.2, 9, 0.4, 0.5],
      output_lens: [5, 9, 1, 0],
      itls: [[0.1, 0, 0.3], [9], [], []]
    }
    const pooled = pooledLatencies([run, run])
    expect([...pooled.ttft]).toEqual([200, 200, 400, 400, 500, 500])
    expect([...pooled.tpot]).toEqual([200, 200])
    expect([...pooled.itl]).toEqual([0, 0, 100, 100, 300, 300])
    expect([...pooled.e2el]).toEqual([500, 500, 1000, 1000, 2000, 2000])
  })

  test('have percentiles that are interpolated linearly', () => {
    expect(quantile(Float64Array.of(10, 20, 30, 40), 0.5)).toBe(25)
    expect(quantile(Float64Array.of(10, 20, 30, 40), 1)).toBe(40)
    expect(quantile(Float64Array.of(3), 0.99)).toBe(3)
  })

  test('of many tokens stay small', () => {
    const run = syntheticRun({ requests: 3000 })
    expect(run.itls.flat().length).toBeGreaterThan(100_000)
    expect(htmlReport(syntheticReport([run])).length).toBeLessThan(200_000)
  })
})

describe('series', () => {
  test('are the repetitions of a server under one load', () => {
    const series = groupIntoSeries(compared)
    expect(series.map(({ label, runs }) => [label, runs.length])).toEqual([['main', 3], ['branch', 3]])
  })

  test('are in the order of their loads and told apart by them', () => {
    expect(groupIntoSeries([...loads].reverse()).map(({ label }) => label))
      .toEqual(['1 at a time', '4 at a time', '16 at a time', '32 at a time'])
    expect(groupIntoSeries(compareSweep).map(({ label }) => label)).toEqual([
      'drawbridge, 2 at a time', 'drawbridge, 32 at a time', 'llama-server, 2 at a time', 'llama-server, 32 at a time'
    ])
    const styles = groupIntoSeries(compareSweep).map(({ style }) => JSON.stringify(style))
    expect(new Set(styles).size).toBe(4)
  })

  test('that are too many for a plot are thinned out evenly', () => {
    const many = groupIntoSeries(Array.from({ length: 20 }, (_, index) => syntheticRun({ concurrency: index + 1, requests: 2 })))
    const chosen = chooseSeries(many, 8)
    expect(chosen).toHaveLength(8)
    expect(chosen[0]?.label).toBe('1 at a time')
    expect(chosen.at(-1)?.label).toBe('20 at a time')
  })
})

test('timelines have rates, also where the last second is short', () => {
  const point = { output_tokens: 100, completed: 1, failed: 0, running: 4 }
  const run = (duration: number, seconds: number) => {
    const made = syntheticRun({ requests: 1 })
    return { ...made, duration, drawbridge: { ...made.drawbridge, timeline: Array.from({ length: seconds }, (_, second) => ({ second, ...point })) } }
  }
  expect(timelineBins(run(2.5, 3), 1).map(({ from, to, outputRate }) => [from, to, outputRate])).toEqual([[0, 1, 100], [1, 2, 100], [2, 2.5, 200]])
  expect(timelineBins(run(2.25, 3), 1).map(({ from, to, outputRate }) => [from, to, outputRate])).toEqual([[0, 1, 100], [1, 2.25, 160]])
  expect(timelineBins(run(6, 6), 3).map(({ from, to, outputRate, running }) => [from, to, outputRate, running])).toEqual([[0, 3, 100, 4], [3, 6, 100, 4]])
  expect(binSecondsFor([run(3600, 3600)])).toBe(18)
})

test('numbers are short and never lie about none or all', () => {
  expect([0, 0.12345, 9.996, 12.345, 123.45, 999.9, 1234.5, 1_234_567, NaN, null].map(numberText))
    .toEqual(['0', '0.123', '10.0', '12.3', '123', '1,000', '1,235', '1,234,567', '–', '–'])
  expect([0, 0.05, 0.5, 999.7, 1500, 61_000].map(durationText)).toEqual(['0 ms', '50.0 µs', '0.500 ms', '1.00 s', '1.50 s', '61.0 s'])
  expect([0, 0.00001, 0.5, 0.99999, 1].map(percentText)).toEqual(['0%', '<0.1%', '50.0%', '99.9%', '100%'])
  expect(fixedText(1234567.891, 2)).toBe('1,234,567.89')
  expect([shortText('abc', 3), shortText('abcd', 3), shortText('😀😀😀😀', 3)]).toEqual(['abc', 'ab…', '😀😀…'])
})

/** The first tag that closes none or is not closed, or null: as strict as XML but for the void elements of HTML. */
function unbalancedTag (text: string): string | null {
  const open: string[] = []
  const body = text.replace(/<!DOCTYPE html>/, '').replace(/<style>.*?<\/style>/s, '')
  for (const [tag, slash, name = '', rest = ''] of body.matchAll(/<(\/?)([a-zA-Z][a-zA-Z0-9]*)((?:\s+[a-zA-Z:-]+="[^"<]*")*\s*\/?)>|</g)) {
    if (name === '') return `${tag} at ${body.slice(0, 40)}`
    if (slash === '/') {
      if (open.pop() !== name) return tag
    } else if (!rest.endsWith('/') && !['meta', 'link', 'br'].includes(name)) open.push(name)
  }
  return open.at(-1) ?? (/&(?!(amp|lt|gt|quot|#39);)/.test(body) ? 'a bare &' : null)
}
