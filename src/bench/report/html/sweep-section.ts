import type { BenchReport, BenchRun, LatencyName } from '../bench-run.ts'
import { linePlot, type Curve, type LinePlot } from './line-plot.ts'
import { throughputMeasure, throughputUnits } from '../throughput.ts'
import { html, type Content, type Markup } from './markup.ts'
import { legend } from './marks.ts'
import { latencyTexts } from './measure-text.ts'
import { durationText, durationTickText, numberText, plainText, shortText } from './number-text.ts'
import { figure, type Axis } from './plot-frame.ts'
import { exactLinearScale, exactLogScale, linearScale, logScale, logTicks, type Scale } from './scale.ts'
import { serverStyle, type Series, type SeriesStyle } from './series.ts'
import type { Spread } from '../../measure/spread.ts'
import { latencyOf, spreadOf } from './spread.ts'

/** The series of one server, by their load. */
interface Sweep {
  readonly server: string
  readonly style: SeriesStyle
  readonly series: readonly (Series & { readonly loadValue: number })[]
}

/** Room for `p99` after a curve, in all plots alike so that their axes line up. */
const endLabelWidth = 30

type Measure = (run: BenchRun) => number | null

/** Latency and throughput against the load, for each kind of load that some server had at least two values of. */
export function sweepSection (series: readonly Series[], saturation: BenchReport['saturation']): Content {
  return (['closed', 'open'] as const).map((type) => {
    const numeric = series.filter((one): one is Sweep['series'][number] => one.loadType === type && one.loadValue !== null)
    const sweeps = [...new Set(numeric.map(({ server }) => server))].map((server): Sweep => {
      const own = numeric.filter((one) => one.server === server)
      return { server, series: own, style: serverStyle(own[0]?.serverIndex ?? 0) }
    })
    if (!sweeps.some(({ series }) => new Set(series.map(({ loadValue }) => loadValue)).size > 1)) return null
    const axis = type === 'closed' ? 'concurrency' : 'rate'
    return sweepPlots(sweeps, type, saturation.filter((one) => one.axis === axis))
  })
}

function sweepPlots (sweeps: readonly Sweep[], type: 'closed' | 'open', saturation: BenchReport['saturation']): Markup {
  const x: Axis = { scale: loadScale(sweeps), format: plainText, label: type === 'closed' ? 'requests at a time' : 'requests sent per second' }
  const rules = saturation.flatMap(({ server, at, explanation }) => {
    const sweep = sweeps.find((one) => one.server === server)
    if (at === null || sweep === undefined) return []
    return [{ x: at, label: sweeps.length > 1 ? `${shortText(server, 24)}: ${plainText(at)}` : 'saturated', style: sweep.style, tooltip: explanation }]
  })
  const unit = type === 'closed' ? 'at a time' : 'requests/s'
  const runs = sweeps.flatMap(({ series }) => series.flatMap((one) => one.runs))
  const hasGoodput = runs.some((run) => run.request_goodput !== null)
  const plots = [
    throughputMeasure(runs) === 'output_throughput'
      ? ratePlot('Output', 'tokens/s', sweeps, x, rules, (run) => run.output_throughput)
      : ratePlot('Requests', 'completed requests/s', sweeps, x, rules, (run) => run.request_throughput),
    ...(hasGoodput ? [ratePlot('Goodput', 'good requests/s', sweeps, x, rules, (run) => run.request_goodput)] : []),
    ...(['ttft', 'itl', ...(hasGoodput ? [] : ['e2el'] as const)] as const).map((name) => latencyPlot(name, sweeps, x, rules))
  ]
  const servers = sweeps.flatMap(({ series, style, server }) => series[0] ? [{ ...series[0], label: shortText(server, 40), style }] : [])
  return html`<section><h2>Against the load</h2>${legend(servers)}<div class="plots">${plots}</div>
<ul class="findings">${saturation.map(({ server, at, best, measure, explanation }) => html`<li>
${sweeps.length > 1 && html`<b><bdi>${shortText(server, 40)}</bdi></b>: `}${at === null
    ? 'Not saturated within the sweep'
    : html`Saturated at <b>${plainText(at)}</b> ${unit}`}; at best ${numberText(best)} ${throughputUnits[measure]}. ${explanation}.</li>`)}</ul></section>`
}

function ratePlot (
  heading: string, unit: string, sweeps: readonly Sweep[], x: Axis, rules: LinePlot['rules'], measure: Measure
): Content {
  const curves = sweeps.map((sweep) => curveOf(sweep, measure, (value) => `${numberText(value)} ${unit}`))
  return figure(heading, unit, linePlot({
    description: `${heading} in ${unit} against the load`,
    height: 200,
    x,
    y: { scale: linearScale(0, Math.max(0, ...highs(curves)), 5), format: plainText },
    curves,
    right: endLabelWidth,
    rules: rules ?? []
  }))
}

function latencyPlot (name: LatencyName, sweeps: readonly Sweep[], x: Axis, rules: LinePlot['rules']): Content {
  const curves = sweeps.flatMap((sweep): Curve[] => [
    { ...curveOf(sweep, latencyOf(name, 'p99'), (ms) => `p99 ${durationText(ms)}`), endLabel: 'p99', hasHollowMarks: true, isThin: true },
    { ...curveOf(sweep, latencyOf(name, 'p50'), (ms) => `p50 ${durationText(ms)}`), endLabel: 'p50' }
  ]).filter(({ points }) => points.length > 0)
  if (curves.length === 0) return null
  const bands = sweeps.map(({ series, style }) => ({
    style,
    points: series.flatMap(({ runs, loadValue }) => {
      const low = spreadOf(runs, latencyOf(name, 'p50'))
      const high = spreadOf(runs, latencyOf(name, 'p99'))
      return low && high ? [[loadValue, low.median, high.median] as const] : []
    })
  }))
  return figure(latencyTexts[name].name, latencyTexts[name].longName, linePlot({
    description: `Median and 99th percentile of ${latencyTexts[name].name} against the load`,
    height: 200,
    x,
    y: { scale: latencyScale(curves), format: durationTickText },
    curves,
    bands,
    rules: rules ?? []
  }))
}

function curveOf ({ series, style, server }: Sweep, measure: Measure, text: (value: number) => string): Curve {
  const points = series.flatMap(({ runs, loadValue, loadText }) => {
    const spread = spreadOf(runs, measure)
    return spread ? [{ loadValue, loadText, spread, count: runs.length }] : []
  })
  return {
    style,
    shape: 'line',
    tooltip: server,
    points: points.map(({ loadValue, spread }) => [loadValue, spread.median]),
    marks: points.map(({ loadValue, loadText, spread, count }) => ({
      x: loadValue, y: spread.median, range: [spread.min, spread.max], tooltip: `${server}, ${loadText}: ${spreadText(spread, count, text)}`
    }))
  }
}

function spreadText ({ median, min, max }: Spread, count: number, text: (value: number) => string): string {
  return count > 1 && min < max ? `${text(median)} (${text(min)} to ${text(max)} in ${count} runs)` : text(median)
}

function highs (curves: readonly Curve[]): number[] {
  return curves.flatMap(({ marks }) => marks?.map(({ y, range }) => range?.[1] ?? y) ?? [])
}

function latencyScale (curves: readonly Curve[]): Scale {
  const high = Math.max(0, ...highs(curves))
  const low = Math.min(high, ...curves.flatMap(({ marks }) => marks?.map(({ y, range }) => range?.[0] ?? y) ?? []).filter((y) => y > 0))
  return low > 0 && high > low * 20 ? logScale(low, high, 6) : linearScale(0, high, 5)
}

/** Ticks are the loads that were tried, unless there are many. Loads usually double, so it is logarithmic when they span much. */
function loadScale (sweeps: readonly Sweep[]): Scale {
  const loads = [...new Set(sweeps.flatMap(({ series }) => series.map(({ loadValue }) => loadValue)))].sort((a, b) => a - b)
  const low = loads[0] ?? 0
  const high = loads.at(-1) ?? 1
  if (low > 0 && high >= low * 8) return exactLogScale(low / 1.12, high * 1.12, loads.length > 12 ? logTicks(low, high, 7) : loads)
  const ticks = loads.length > 12 ? linearScale(low, high, 6).ticks.filter((tick) => tick >= low && tick <= high) : loads
  const room = (high - low) * 0.05
  return exactLinearScale(low - room, high + room, ticks)
}
