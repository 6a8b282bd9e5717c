import { spreadOf, type Spread } from '../../src/bench/measure/spread.ts'
import { formatNumber, formatTable, withRange } from '../../src/bench/report/table.ts'
import type { Sample } from './measure.ts'
import type { Scenario } from './scenario.ts'

/** All runs of one scenario at one number of connections. */
export interface Row {
  readonly scenario: Scenario['name']
  readonly tokens: number
  readonly connections: number
  readonly samples: readonly Sample[]
}

export interface RowSummary {
  readonly scenario: Scenario['name']
  readonly tokens: number
  readonly connections: number
  readonly errors: number
  readonly median: { readonly [Key in keyof Sample]: Spread }
}

/** What a token adds to a request in each process: (long answer - short answer) / (tokens between them). */
export interface TokenCost {
  readonly scenario: 'chat' | 'stream'
  readonly connections: number
  readonly serverMicros: Spread
  readonly engineMicros: Spread
  readonly loadMicros: Spread
}

export function summarize (row: Row): RowSummary {
  const keys = Object.keys(row.samples[0] ?? {}) as (keyof Sample)[]
  return {
    scenario: row.scenario,
    tokens: row.tokens,
    connections: row.connections,
    errors: row.samples.reduce((total, { errors }) => total + errors, 0),
    median: Object.fromEntries(keys.map((key) => [key, spreadOf(row.samples.map((sample) => sample[key]))])) as RowSummary['median']
  }
}

/** Pairs the runs of the same repetition, so that slow phases of the machine fall on both sides of a difference. */
export function tokenCosts (rows: readonly Row[]): readonly TokenCost[] {
  return rows.flatMap((long) => {
    const short = rows.find(({ scenario, connections, tokens }) =>
      scenario === long.scenario && connections === long.connections && tokens < long.tokens)
    if ((long.scenario !== 'chat' && long.scenario !== 'stream') || short === undefined) return []
    const cost = (key: 'serverMicrosPerRequest' | 'engineMicrosPerRequest' | 'loadMicrosPerRequest'): Spread =>
      spreadOf(long.samples.map((sample, repetition) =>
        (sample[key] - (short.samples[repetition]?.[key] ?? Number.NaN)) / (long.tokens - short.tokens)))
    return [{
      scenario: long.scenario,
      connections: long.connections,
      serverMicros: cost('serverMicrosPerRequest'),
      engineMicros: cost('engineMicrosPerRequest'),
      loadMicros: cost('loadMicrosPerRequest')
    }]
  })
}

const plain = ({ median }: Spread): string => formatNumber(median)

function nameOf (scenario: Scenario['name'], tokens: number): string {
  switch (scenario) {
    case 'bare': return 'Fastify alone'
    case 'health': return 'GET /health'
    case 'chat':
    case 'stream': return `${scenario}, ${tokens} token${tokens === 1 ? '' : 's'}`
  }
}

/** The tables that people read; medians, with the range over the repetitions in brackets. */
export function formatReport (rows: readonly Row[]): string {
  const summaries = rows.map(summarize)
  const main = formatTable(
    ['request', 'conns', 'requests/s', 'tokens/s', 'p50 ms', 'p90 ms', 'p99 ms', 'server µs/req', 'engine µs/req',
      'cores server', 'engine', 'load', 'MiB server', 'engine', 'errors'],
    summaries.map(({ scenario, tokens, connections, errors, median }) => [
      nameOf(scenario, tokens),
      String(connections), withRange(median.requestsPerSecond), tokens === 0 ? '-' : withRange(median.tokensPerSecond),
      plain(median.p50Ms), plain(median.p90Ms), plain(median.p99Ms),
      plain(median.serverMicrosPerRequest), plain(median.engineMicrosPerRequest),
      plain(median.serverCores), plain(median.engineCores), plain(median.loadCores),
      plain(median.serverMiB), plain(median.engineMiB), String(errors)
    ]))
  const costs = formatTable(
    ['CPU µs per token', 'conns', 'server', 'engine process', 'load generator'],
    tokenCosts(rows).map(({ scenario, connections, serverMicros, engineMicros, loadMicros }) => [
      scenario === 'chat' ? 'whole answers' : 'streamed', String(connections),
      withRange(serverMicros), withRange(engineMicros), withRange(loadMicros)
    ]))
  return `${main}\n\n${costs}`
}
