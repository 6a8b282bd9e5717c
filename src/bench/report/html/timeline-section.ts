import { linePlot, type Curve } from './line-plot.ts'
import { html, type Content, type Markup } from './markup.ts'
import { legend } from './marks.ts'
import { fixedText, numberText, plainText, shortText } from './number-text.ts'
import { figure } from './plot-frame.ts'
import { linearScale } from './scale.ts'
import { runLabel, serverStyle, type Series } from './series.ts'
import { binSecondsFor, timelineBins, type TimelineBin } from './timeline.ts'

interface Line {
  readonly series: Series
  readonly label: string
  readonly bins: readonly TimelineBin[]
}

/** Throughput and running requests over time, for each load. */
export function timelineSection (series: readonly Series[]): Content {
  const loads = [...new Set(series.map(({ loadText }) => loadText))]
  const facets = loads.flatMap((load) => {
    const own = series.filter(({ loadText }) => loadText === load)
    const binSeconds = binSecondsFor(own.flatMap(({ runs }) => runs))
    const lines = own.flatMap((one) => one.runs.map((run) => ({
      series: { ...one, style: { ...serverStyle(one.serverIndex), dash: '' } }, label: runLabel(one, run), bins: timelineBins(run, binSeconds)
    }))).filter(({ bins }) => bins.length > 0)
    return lines.length === 0 ? [] : [{ load, lines, binSeconds }]
  })
  if (facets.length === 0) return null
  const servers = series.filter((one, index) => series.findIndex(({ server }) => server === one.server) === index)
    .map((one) => ({ ...one, label: shortText(one.server, 40), style: { ...serverStyle(one.serverIndex), dash: '' } }))
  const isRepeated = facets.some(({ lines }) => lines.length > servers.length)
  return html`<section><h2>Over time</h2><p class="note">From the first request on.${isRepeated && ' Each run has a line of its own.'}</p>
${legend(servers)}<div class="plots">${facets.map(({ load, lines, binSeconds }) =>
  [throughputPlot(facets.length > 1 ? load : '', lines, binSeconds), runningPlot(facets.length > 1 ? load : '', lines, binSeconds)])}</div></section>`
}

function throughputPlot (load: string, lines: readonly Line[], binSeconds: number): Markup {
  return figure('Output tokens/s', [load, meanOver(binSeconds)].filter((text) => text !== '').join(', '), linePlot({
    description: `Output tokens per second over time ${load}`,
    height: 165,
    x: timeAxis(lines),
    y: { scale: linearScale(0, most(lines, ({ outputRate }) => outputRate), 4), format: plainText },
    curves: curvesOf(lines, ({ outputRate }) => outputRate),
    columns: columnsOf(lines, ({ outputRate, completed }) => `${numberText(outputRate)} tokens/s, ${completed} completed`)
  }))
}

function runningPlot (load: string, lines: readonly Line[], binSeconds: number): Markup {
  const failures = failureBars(lines)
  const hasFailures = failures.some(({ value }) => value > 0)
  return figure('Running requests', [load, meanOver(binSeconds), hasFailures ? 'red bars: failed per second' : '']
    .filter((text) => text !== '').join(', '), linePlot({
    description: `Running requests and failures per second over time ${load}`,
    height: 165,
    x: timeAxis(lines),
    y: { scale: countScale(Math.max(most(lines, ({ running }) => running), ...failures.map(({ value }) => value))), format: plainText },
    curves: curvesOf(lines, ({ running }) => running),
    bars: failures,
    columns: columnsOf(lines, ({ running, failed }) => `${numberText(running)} running, ${failed} failed`)
  }))
}

/** No fractions of requests among the ticks. */
function countScale (high: number) { return linearScale(0, high, Math.min(4, Math.max(1, Math.ceil(high)))) }

function timeAxis (lines: readonly Line[]) {
  const scale = linearScale(0, most(lines, ({ to }) => to), 6)
  const end = most(lines, ({ to }) => to)
  // The axis ends with the run: empty room to the next tick would look like a pause.
  const at = (value: number): number => Math.min(1, value / end)
  return { scale: { ...scale, high: end, ticks: scale.ticks.filter((tick) => tick <= end), at }, format: (tick: number) => `${plainText(tick)} s` }
}

function curvesOf (lines: readonly Line[], value: (bin: TimelineBin) => number): Curve[] {
  return lines.map(({ series, label, bins }) => {
    const last = bins.at(-1)
    return {
      style: series.style,
      shape: 'steps',
      tooltip: label,
      isFilled: lines.length === 1,
      isThin: true,
      points: [...bins.map((bin) => [bin.from, value(bin)] as const), ...(last ? [[last.to, value(last)] as const] : [])]
    }
  })
}

/** The failures of all runs together. */
function failureBars (lines: readonly Line[]) {
  return longest(lines).map(({ from, to }, index) => {
    const failed = lines.reduce((sum, { bins }) => sum + (bins[index]?.failed ?? 0), 0)
    const value = lines.reduce((sum, { bins }) => sum + (bins[index]?.failedRate ?? 0), 0)
    return { from, to, value, tooltip: `${timeText(from, to)}: ${failed} failed` }
  })
}

function columnsOf (lines: readonly Line[], text: (bin: TimelineBin) => string) {
  return longest(lines).map(({ from, to }, index) => ({
    from,
    to,
    tooltip: [timeText(from, to), ...lines.flatMap(({ label, bins }) => {
      const bin = bins[index]
      return bin ? [lines.length > 1 ? `${label}: ${text(bin)}` : text(bin)] : []
    })].join(lines.length > 1 ? '\n' : ': ')
  }))
}

function longest (lines: readonly Line[]): readonly TimelineBin[] {
  return lines.reduce<readonly TimelineBin[]>((most, { bins }) => bins.length > most.length ? bins : most, [])
}

function most (lines: readonly Line[], value: (bin: TimelineBin) => number): number {
  return lines.reduce((high, { bins }) => bins.reduce((high, bin) => Math.max(high, value(bin)), high), 0)
}

function meanOver (binSeconds: number): string { return binSeconds > 1 ? `means over ${binSeconds} s` : '' }

function timeText (from: number, to: number): string {
  return `${plainText(from)}–${Number.isInteger(to) ? plainText(to) : fixedText(to, 1)} s`
}
