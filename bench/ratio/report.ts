import { spreadOf, type Spread } from '../../src/bench/measure/spread.ts'
import { formatNumber, formatTable, withRange } from '../../src/bench/report/table.ts'
import type { LayerName } from './layer.ts'
import type { LayerSample } from './layer-handle.ts'

/** All runs of one layer with one number of streams, in the order of the repetitions. */
export interface LayerRow {
  readonly layer: LayerName
  readonly streams: number
  readonly samples: readonly LayerSample[]
}

export interface LayerSummary {
  readonly layer: LayerName
  readonly streams: number
  readonly tokensPerSecond: Spread
  /** To the engine's rate of the same repetition; 1 is as fast as the engine alone. */
  readonly ratio: Spread
  readonly engineMicrosPerToken: Spread
  readonly serverMicrosPerToken: Spread
  readonly clientMicrosPerToken: Spread
  /** Whether all its streams said what the engine's said. */
  readonly isSameText: boolean
}

/** Ratios are taken within a repetition, so that slow phases of the machine fall on both sides. */
export function summarize (rows: readonly LayerRow[]): readonly LayerSummary[] {
  return rows.map(({ layer, streams, samples }) => {
    const engine = rows.find((row) => row.layer === 'engine' && row.streams === streams)?.samples ?? []
    const expected = engine[0]?.texts[0]
    return {
      layer,
      streams,
      tokensPerSecond: spreadOf(samples.map((sample) => sample.tokensPerSecond)),
      ratio: spreadOf(samples.map((sample, repetition) => sample.tokensPerSecond / (engine[repetition]?.tokensPerSecond ?? Number.NaN))),
      engineMicrosPerToken: spreadOf(samples.map((sample) => sample.engineMicrosPerToken)),
      serverMicrosPerToken: spreadOf(samples.map((sample) => sample.serverMicrosPerToken)),
      clientMicrosPerToken: spreadOf(samples.map((sample) => sample.clientMicrosPerToken)),
      isSameText: samples.every(({ texts }) => texts.every((text) => text === expected))
    }
  })
}

const descriptions: { readonly [Name in LayerName]: string } = {
  engine: 'engine alone',
  local: '+ scheduler, detokenizer',
  remote: '+ engine process, IPC',
  http: '+ HTTP, SSE, client'
}

export function formatReport (rows: readonly LayerRow[]): string {
  return formatTable(
    ['way', 'streams', 'tokens/s', 'of the engine', 'CPU µs/token engine', 'server', 'client', 'same text'],
    summarize(rows).toSorted((a, b) => a.streams - b.streams).map((summary) => [
      descriptions[summary.layer], String(summary.streams), withRange(summary.tokensPerSecond),
      `${summary.ratio.median.toFixed(2)} (${summary.ratio.min.toFixed(2)}–${summary.ratio.max.toFixed(2)})`,
      formatNumber(summary.engineMicrosPerToken.median), formatNumber(summary.serverMicrosPerToken.median),
      formatNumber(summary.clientMicrosPerToken.median), summary.isSameText ? 'yes' : 'no'
    ]))
}
