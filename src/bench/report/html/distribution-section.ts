import { latencyNames, type LatencyName } from '../bench-run.ts'
import { quantile } from '../../measure/latency-summary.ts'
import { distribution, pooledLatencies } from './distribution.ts'
import { linePlot, type Curve } from './line-plot.ts'
import { html, type Content, type Markup } from './markup.ts'
import { legend } from './marks.ts'
import { latencyTexts } from './measure-text.ts'
import { countText, durationText, durationTickText, percentText } from './number-text.ts'
import { figure } from './plot-frame.ts'
import { exactLinearScale, linearScale, logScale, type Scale } from './scale.ts'
import type { Series } from './series.ts'

interface Pool {
  readonly series: Series
  readonly values: Float64Array
}

const marked = [0.5, 0.9, 0.99]

/** How each latency is distributed, a curve per series. */
export function distributionSection (series: readonly Series[], seriesCount: number): Content {
  const pooled = series.map((one) => ({ series: one, latencies: pooledLatencies(one.runs) }))
  const plots = latencyNames.flatMap((name) => {
    const pools = pooled.map(({ series, latencies }) => ({ series, values: latencies[name] })).filter(({ values }) => values.length > 0)
    return pools.length === 0 ? [] : [distributionPlot(name, pools)]
  })
  if (plots.length === 0) return null
  return html`<section><h2>Latencies</h2><p class="note">The share of values (of completed requests) that are at most so long; marks are at
50%, 90% and 99%.${series.length < seriesCount && ` ${series.length} of ${seriesCount} loads are shown; the tables have all.`}</p>
${legend(series)}<div class="plots">${plots}</div></section>`
}

function distributionPlot (name: LatencyName, pools: readonly Pool[]): Markup {
  const { name: shortName, longName } = latencyTexts[name]
  const objectives = objectivesOf(name, pools)
  const x = scaleFor(pools, objectives)
  const curves = pools.map(({ series, values }): Curve => {
    const points = distribution(values)
    const first = points[0]
    return {
      style: series.style,
      shape: 'steps',
      tooltip: `${series.label}: ${shortName} of ${countText(values.length, 'value')}`,
      points: [...(first === undefined ? [] : [[first.value, 0] as const]), ...points.map(({ value, share }) => [value, share] as const)],
      marks: marked.map((share) => ({
        x: quantile(values, share), y: share, tooltip: `${series.label}: ${shortName} p${share * 100} ${durationText(quantile(values, share))}`
      }))
    }
  })
  const count = pools.reduce((sum, { values }) => sum + values.length, 0)
  const zeros = pools.reduce((sum, { values }) => sum + zeroCount(values), 0)
  const note = `${longName}${zeros > 0 ? `; ${percentText(zeros / count)} are 0` : ''}`
  return figure(shortName, note, linePlot({
    description: `Distribution of ${shortName}, ${longName}`,
    height: 210,
    x: { scale: x, format: durationTickText },
    y: { scale: exactLinearScale(0, 1, [0, 0.25, 0.5, 0.75, 1]), format: (share) => `${share * 100}%` },
    curves,
    rules: objectives.filter((ms) => ms <= x.high && ms >= x.low).slice(0, 2).map((ms) => ({
      x: ms, label: `objective ${durationTickText(ms)}`, tooltip: `Good requests have a ${shortName} of at most ${durationTickText(ms)}`
    }))
  }))
}

function objectivesOf (name: LatencyName, pools: readonly Pool[]): number[] {
  const all = pools.flatMap(({ series }) => series.runs.map(({ drawbridge }) => drawbridge.objectives[name] ?? 0))
  return [...new Set(all)].filter((ms) => ms > 0)
}

/** Logarithmic when the values span more than a factor of 20, zeros and the quickest hundredth left aside. */
function scaleFor (pools: readonly Pool[], objectives: readonly number[]): Scale {
  const longest = Math.max(...pools.map(({ values }) => values.at(-1) ?? 0))
  const high = Math.max(longest, ...objectives.filter((ms) => ms <= longest * 2))
  const lows = pools.map(({ values }) => quantile(values.subarray(zeroCount(values)), 0.01)).filter((value) => value > 0)
  const low = Math.max(Math.min(...lows, high), high / 1e5)
  if (high > low * 20) return logScale(low, high, 7)
  return linearScale(low > high / 2 ? low - (high - low) * 0.05 : 0, high, 6)
}

/** Of sorted values. */
function zeroCount (values: Float64Array): number {
  const first = values.findIndex((value) => value > 0)
  return first === -1 ? values.length : first
}
