import { beforeAll, describe, expect, test } from 'vitest'
import { parse } from 'yaml'
import { AdapterLibrary } from '../../../src/adapters/adapter-library.ts'
import { createModelCatalogue } from '../../../src/models/catalogue.ts'
import { createMetrics } from '../../../src/telemetry/metrics.ts'
import { dashboards, expressions, labelsIn, ownSeries, readDocker, rules, seriesIn } from '../../support/monitoring-files.ts'

describe('the metrics that dashboards and alert rules ask for', () => {
  const types = new Map<string, string>()

  beforeAll(async () => {
    const text = await createMetrics(() => [], new AdapterLibrary({ catalogue: createModelCatalogue([]), registries: [], resolveReference: (reference) => reference })).render()
    for (const [, name, type] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
      if (name !== undefined && type !== undefined) types.set(name, type)
    }
  })

  /** The type of a series, by its own name or that of the histogram that it is a part of. */
  const typeOf = (series: string): string | undefined => {
    const histogram = series.replace(/_(bucket|sum|count)$/, '')
    return types.get(histogram) === 'histogram' && histogram !== series ? 'counter' : types.get(series)
  }

  test('there are expressions to look at', () => {
    expect(expressions.length).toBeGreaterThan(30)
    expect(rules.length).toBeGreaterThan(5)
  })

  test.each(expressions.map(({ where, text }) => [where, text]))('%s: the server exposes every one of them', (_, text) => {
    const series = seriesIn(text)
    expect(series.length + [...ownSeries].filter((name) => text.includes(name)).length).toBeGreaterThan(0)
    expect(series.filter((name) => typeOf(name) === undefined)).toEqual([])
  })

  test.each(expressions.map(({ where, text }) => [where, text]))('%s: rates are taken of counters, and counters only as rates', (_, text) => {
    const inRates = [...text.matchAll(/\b(?:rate|increase)\(\s*([a-zA-Z_:][\w:]*)/g)].map(([, name]) => name ?? '')
    expect(inRates.filter((name) => typeOf(name) !== 'counter')).toEqual([])
    expect(seriesIn(text).filter((name) => typeOf(name) === 'counter' && !inRates.includes(name))).toEqual([])
  })

  test('labels are found wherever they are named', () => {
    const labels = labelsIn({
      where: 'x', text: 'sum by (le, route) (rate(vllm:x_bucket{a="b{}", c=~"d,e=", job="x"}[5m])) > on (f) up{instance="g"}', shown: ['{{h}} {{ $labels.i }} {{ $value | humanize }}']
    })
    expect(labels).toEqual([
      { series: 'vllm:x_bucket', label: 'a' }, { series: 'vllm:x_bucket', label: 'c' },
      ...['le', 'route', 'f', 'h', 'i'].map((label) => ({ series: null, label }))
    ])
  })

  test('a name that does not exist would be noticed', () => {
    expect(seriesIn('sum by (le) (rate(vllm:nothing_bucket{a="b"}[5m])) > 3 and up == 0')).toEqual(['vllm:nothing_bucket'])
    expect(typeOf('vllm:nothing_bucket')).toBeUndefined()
    expect(typeOf('vllm:time_to_first_token_seconds')).toBe('histogram')
  })
})

describe('what belongs together in the monitoring files', () => {
  const datasources = parse(readDocker('grafana/provisioning/datasources/prometheus.yml')) as {
    readonly datasources: readonly { readonly uid: string, readonly jsonData: { readonly timeInterval: string } }[]
  }
  const prometheus = parse(readDocker('prometheus/prometheus.yml')) as {
    readonly global: { readonly scrape_interval: string }
    readonly scrape_configs: readonly { readonly job_name: string }[]
  }

  test('panels use the provisioned data source', () => {
    const provisioned = datasources.datasources.map(({ uid }) => uid)
    const used = dashboards.flatMap(({ dashboard }) => dashboard.panels.flatMap(({ datasource, targets }) =>
      [...(datasource === undefined ? [] : [datasource.uid]), ...(targets ?? []).map((target) => target.datasource.uid)]))
    expect(used.length).toBeGreaterThan(20)
    expect([...new Set(used)].filter((uid) => !provisioned.includes(uid))).toEqual([])
  })

  test("Grafana's idea of the scrape interval is Prometheus' own", () => {
    expect(datasources.datasources[0]?.jsonData.timeInterval).toBe(prometheus.global.scrape_interval)
  })

  test('job names in expressions are those that are scraped', () => {
    const jobs = expressions.flatMap(({ text }) => [...text.matchAll(/job="([^"]*)"/g)].map(([, job]) => job))
    expect(jobs.length).toBeGreaterThan(0)
    expect(jobs.filter((job) => !prometheus.scrape_configs.some(({ job_name: name }) => name === job))).toEqual([])
  })

  test.each(dashboards.map(({ file, dashboard }) => [file, dashboard] as const))('%s: panels have ids of their own and do not overlap', (_, { panels }) => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length)
    const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, index) => `${x + index % w},${y + Math.floor(index / w)}`))
    expect(new Set(cells).size).toBe(cells.length)
    expect(Math.max(...panels.map(({ gridPos: { x, w } }) => x + w))).toBe(24)
  })

  test('every alert rule has a test of its own', () => {
    const tests = readDocker('prometheus/tests/drawbridge.yml')
    expect(rules.map(({ alert }) => alert).filter((alert) => !tests.includes(alert))).toEqual([])
  })
})
