import { latencyNames, type BenchRun, type ErrorCount, type LatencyName, type LatencySummary } from '../bench-run.ts'
import { html, type Content } from './markup.ts'
import { nameOf } from './marks.ts'
import { latencyTexts } from './measure-text.ts'
import { shortText } from './number-text.ts'
import { runLabel, type Series } from './series.ts'
import { table, type Column } from './table.ts'

interface Row {
  readonly run: BenchRun
  readonly series: Series
}

/** All numbers, run by run. */
export function tableSections (series: readonly Series[]): Content {
  const rows = series.flatMap((one) => one.runs.map((run) => ({ run, series: one })))
  return [errorSection(series), latencySection(rows), generatorSection(rows), serverSection(rows)]
}

function nameColumn (rows: readonly Row[]): Column<Row> {
  return { heading: 'Run', text: ({ run, series }) => rows.length > 1 ? nameOf({ style: series.style, label: runLabel(series, run) }) : 'all' }
}

function errorSection (series: readonly Series[]): Content {
  const kinds = new Map<string, { count: number, example: string, labels: Set<string> }>()
  for (const { runs, label } of series) {
    for (const error of runs.flatMap(({ drawbridge }): readonly ErrorCount[] => drawbridge.errors)) {
      const known = kinds.get(error.kind) ?? { count: 0, example: error.example, labels: new Set() }
      known.count += error.count
      known.labels.add(label)
      kinds.set(error.kind, known)
    }
  }
  if (kinds.size === 0) return null
  const rows = [...kinds].map(([kind, rest]) => ({ kind, ...rest })).sort((a, b) => b.count - a.count)
  const where: Column<typeof rows[number]> = {
    heading: 'Where', text: ({ labels }) => html`<bdi>${shortText([...labels].join('; '), 160)}</bdi>`
  }
  return html`<section><h2>Errors</h2>${table('Errors by kind', [
    { heading: 'Kind', text: ({ kind }) => html`<bdi>${shortText(kind, 120)}</bdi>` },
    { heading: 'Requests', value: ({ count }) => count, decimals: 0 },
    ...(series.length > 1 ? [where] : []),
    { heading: 'What the first one said', text: ({ example }) => html`<code>${shortText(example, 300)}</code>` }
  ], rows)}</section>`
}

const statistics = [
  ['Mean', 'mean'], ['Median', 'median'], ['p90', 'p90'], ['p95', 'p95'], ['p99', 'p99'], ['Max', 'max']
] as const satisfies readonly (readonly [string, keyof LatencySummary])[]

function latencySection (rows: readonly Row[]): Content {
  const [only] = rows
  if (only === undefined) return null
  if (rows.length === 1) return html`<section><h2>All latencies</h2>${singleTable(only.run)}</section>`
  const tables = latencyNames.map((name) => {
    const own = rows.filter(({ run }) => run.drawbridge.latencies[name].count > 0)
    return own.length > 0 && table(`${latencyTexts[name].name}, ${latencyTexts[name].longName}`, [
      nameColumn(rows),
      ...statistics.map(([heading, key]): Column<Row> => ({ heading, unit: 'ms', value: ({ run }) => run.drawbridge.latencies[name][key] })),
      { heading: 'Count', value: ({ run }) => run.drawbridge.latencies[name].count, decimals: 0 }
    ], own)
  })
  return tables.some((one) => one !== false) && html`<section class="captioned"><h2>All latencies</h2>${tables}</section>`
}

function singleTable ({ drawbridge: { latencies } }: BenchRun): Content {
  const names = latencyNames.filter((name) => latencies[name].count > 0)
  if (names.length === 0) return html`<p class="note">No request was completed, so there are none.</p>`
  // One number of decimals for all, so that the columns line up.
  const decimals = Math.min(...names.map((name) => latencies[name].median)) < 10 ? 2 : 1
  return table('Latencies', [
    { heading: 'Latency', text: (name: LatencyName) => html`${latencyTexts[name].name} <span class="long">${latencyTexts[name].longName}</span>` },
    ...statistics.map(([heading, key]) => ({ heading, unit: 'ms', value: (name: LatencyName) => latencies[name][key], decimals })),
    { heading: 'Count', value: (name) => latencies[name].count, decimals: 0 }
  ], names)
}

function generatorSection (rows: readonly Row[]): Content {
  if (rows.length === 0) return null
  const of = (value: (usage: BenchRun['drawbridge']['generator']) => number | null) => ({ run }: Row) => value(run.drawbridge.generator)
  return html`<section><h2>Load generator</h2>${table('Load generator', [
    nameColumn(rows),
    { heading: 'CPU', unit: 's', value: of((usage) => usage.cpu_seconds) },
    { heading: 'Cores', unit: 'of its 1', value: of((usage) => usage.cores), decimals: 3 },
    { heading: 'Chunks', unit: '/s', value: of((usage) => usage.chunks_per_second) },
    { heading: 'Loop delay p99', unit: 'ms', value: of((usage) => usage.loop_delay_p99_ms) },
    { heading: 'Lateness p99', unit: 'ms', value: of((usage) => usage.lateness_p99_ms) }
  ], rows)}</section>`
}

function serverSection (rows: readonly Row[]): Content {
  const hasMetrics = rows.some(({ run: { drawbridge: { server_metrics: metrics, cached_tokens: cached } } }) =>
    cached > 0 || (metrics !== null && (metrics.mean_queue_ms !== null || metrics.prefix_hit_rate !== null)))
  if (!hasMetrics) return null
  const percent = (share: number | null): number | null => share === null ? null : share * 100
  return html`<section><h2>What the server says</h2>${table('What the server says', [
    nameColumn(rows),
    { heading: 'Mean wait for a slot', unit: 'ms', value: ({ run }) => run.drawbridge.server_metrics?.mean_queue_ms ?? null },
    { heading: 'Prefix cache hits', unit: '% of prompt tokens', value: ({ run }) => percent(run.drawbridge.server_metrics?.prefix_hit_rate ?? null), decimals: 1 },
    { heading: 'Cached', unit: 'tokens, by usage', value: ({ run }) => run.drawbridge.cached_tokens, decimals: 0 },
    { heading: 'Input', unit: 'tokens', value: ({ run }) => run.total_input_tokens, decimals: 0 },
    { heading: 'Output', unit: 'tokens', value: ({ run }) => run.total_output_tokens, decimals: 0 }
  ], rows)}</section>`
}
