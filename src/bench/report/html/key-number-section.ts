import type { BenchRun, LatencyName } from '../bench-run.ts'
import { html, type Content, type Markup } from './markup.ts'
import { nameOf } from './marks.ts'
import { latencyTexts } from './measure-text.ts'
import { latencyOf, medianOf, spreadOf } from './spread.ts'
import { countText, durationText, fixedText, noNumber, numberText, percentText } from './number-text.ts'
import type { Series } from './series.ts'
import { table, type Column } from './table.ts'

interface Tile {
  readonly name: string
  readonly unit?: string
  readonly value: (run: BenchRun) => number | null
  readonly format: (value: number | null) => string
  /** Beside the value, quieter. */
  readonly note: (runs: readonly BenchRun[]) => Content
}

const latencyTile = (name: LatencyName): Tile => ({
  name: `${latencyTexts[name].name} median`,
  value: latencyOf(name, 'median'),
  format: durationText,
  note: (runs) => `p99 ${durationText(medianOf(runs, latencyOf(name, 'p99')))}`
})

const tiles: readonly Tile[] = [
  {
    name: 'Output',
    unit: 'tokens/s',
    value: ({ output_throughput: throughput }) => throughput,
    format: numberText,
    note: (runs) => {
      const steady = medianOf(runs, ({ drawbridge }) => drawbridge.steady?.output_throughput ?? null)
      return steady !== null && `${numberText(steady)} in the steady part`
    }
  },
  {
    name: 'Requests',
    unit: 'per second',
    value: ({ request_throughput: throughput }) => throughput,
    format: numberText,
    note: (runs) => `over ${numberText(medianOf(runs, ({ duration }) => duration))} s`
  },
  {
    name: 'Completed',
    unit: 'requests',
    value: ({ completed }) => completed,
    format: (value) => value === null ? noNumber : value.toLocaleString('en-US'),
    note: (runs) => {
      const failed = runs.reduce((sum, run) => sum + run.failed, 0)
      return failed > 0 ? html`<strong class="alarm">${failed} failed</strong>${runs.length > 1 && ' in all runs'}` : 'none failed'
    }
  },
  {
    name: 'Goodput',
    unit: 'requests/s',
    value: ({ request_goodput: goodput }) => goodput,
    format: numberText,
    note: (runs) => `${percentText(medianOf(runs, ({ drawbridge }) => drawbridge.good_share))} are good`
  },
  latencyTile('ttft'),
  latencyTile('tpot'),
  latencyTile('e2el'),
  {
    name: 'Generator',
    unit: 'cores used',
    value: ({ drawbridge }) => drawbridge.generator.cores,
    format: (value) => fixedText(value, 2),
    note: (runs) => runs.some(({ drawbridge }) => drawbridge.generator.warnings.length > 0)
      ? html`<strong class="alarm">did not keep up</strong>`
      : 'kept up'
  }
]

/** Tiles for up to three series, one line each; a table for more. */
export function keyNumberSection (series: readonly Series[]): Markup {
  const repetitions = Math.max(...series.map(({ runs }) => runs.length))
  const note = repetitions > 1 && html`<p class="note">Medians of ${countText(repetitions, 'run')} each, and under them the least and the most.</p>`
  if (series.length > 3) {
    return html`<section><h2>Key numbers</h2>${table('Key numbers', columns, series)}
${repetitions > 1 && html`<p class="note">Medians of ${countText(repetitions, 'run')} each.</p>`}</section>`
  }
  return html`<section><h2>Key numbers</h2><div class="tiles">${tiles
    .filter(({ value }) => series.some(({ runs }) => medianOf(runs, value) !== null))
    .map((tile) => html`<div class="tile"><h3>${tile.name} ${tile.unit !== undefined && html`<span>${tile.unit}</span>`}</h3>
${series.map((one) => tileLine(tile, one, series.length > 1))}</div>`)}</div>${note}</section>`
}

function tileLine ({ value, format, note }: Tile, series: Series, isNamed: boolean): Markup {
  const { runs } = series
  const spread = spreadOf(runs, value)
  return html`<div class="tile-line">${isNamed && html`<p class="tile-name">${nameOf(series)}</p>`}
<p class="value">${format(spread?.median ?? null)}</p>
${spread !== null && format(spread.min) !== format(spread.max) && html`<p class="note">${format(spread.min)} – ${format(spread.max)}</p>`}
<p class="note">${spread === null ? 'none' : note(runs)}</p></div>`
}

const ofRuns = (measure: (run: BenchRun) => number | null) => ({ runs }: Series): number | null => medianOf(runs, measure)

const columns: readonly Column<Series>[] = [
  { heading: 'Run', text: nameOf },
  { heading: 'Output', unit: 'tokens/s', value: ofRuns((run) => run.output_throughput) },
  { heading: 'Steady', unit: 'tokens/s', value: ofRuns(({ drawbridge }) => drawbridge.steady?.output_throughput ?? null) },
  { heading: 'Requests', unit: '/s', value: ofRuns((run) => run.request_throughput) },
  { heading: 'Completed', value: ({ runs }) => runs.reduce((sum, run) => sum + run.completed, 0), decimals: 0 },
  { heading: 'Failed', value: ({ runs }) => runs.reduce((sum, run) => sum + run.failed, 0), decimals: 0, isAlarming: true },
  ...(['ttft', 'tpot', 'e2el'] as const).flatMap((name): Column<Series>[] => (['p50', 'p99'] as const).map((statistic) => ({
    heading: `${latencyTexts[name].name} ${statistic}`, unit: 'ms', value: ofRuns(latencyOf(name, statistic))
  }))),
  { heading: 'Goodput', unit: 'requests/s', value: ofRuns((run) => run.request_goodput) },
  { heading: 'Good', unit: '%', value: ofRuns(({ drawbridge: { good_share: share } }) => share === null ? null : share * 100), decimals: 1 }
]
