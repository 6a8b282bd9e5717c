import { html, type Markup } from './markup.ts'
import { plainText } from './number-text.ts'
import { exactLogScale, type Scale } from './scale.ts'

export interface Range {
  readonly median: number
  readonly min: number
  readonly max: number
  readonly verdict: 'better' | 'worse' | 'unclear'
  readonly tooltip: string
}

const width = 300
const margin = 14

/** Around 1, as far to one side as to the other, for ratios; those beyond a factor of 20 lie at the ends. */
export function ratioScale (ratios: readonly number[]): Scale {
  const farthest = ratios.filter((ratio) => ratio > 0 && Number.isFinite(ratio))
    .reduce((most, ratio) => Math.max(most, ratio, 1 / ratio), 1)
  const high = Math.min(20, Math.max(1.05, farthest * 1.02))
  return exactLogScale(1 / high, high, ratioTicks(high))
}

/** The axis that a column of ranges shares. */
export function rangeAxis (scale: Scale): Markup {
  return html`<svg class="range" width="${width}" height="18" viewBox="0 0 ${width} 18" aria-hidden="true"><g class="ticks">
${scale.ticks.map((tick) => html`<text x="${position(scale, tick)}" y="12" text-anchor="middle">${plainText(tick)}×</text>`)}</g></svg>`
}

/** A dot for the median and a line from the smallest to the largest ratio, in a cell under `rangeAxis`. */
export function rangeCell ({ median, min, max, verdict, tooltip }: Range, scale: Scale): Markup {
  const grid = scale.ticks.filter((tick) => tick !== 1).map((tick) => html`<path d="M${position(scale, tick)} 0V26"/>`)
  const from = position(scale, min)
  const to = position(scale, max)
  return html`<svg class="range" width="${width}" height="26" viewBox="0 0 ${width} 26" aria-hidden="true"><g class="grid">${grid}</g>
<path class="one" d="M${position(scale, 1)} 0V26"/><g class="${verdict}"><title>${tooltip}</title>
<rect class="target-area" x="${from - 6}" y="3" width="${to - from + 12}" height="20"/><path class="spread" d="M${from} 13H${to}M${from} 9V17M${to} 9V17"/>
<circle cx="${position(scale, median)}" cy="13" r="4.5"/></g></svg>`
}

function position (scale: Scale, ratio: number): number { return margin + scale.at(ratio) * (width - 2 * margin) }

/** Round ratios above 1 and their counterparts below it. */
function ratioTicks (high: number): number[] {
  const candidates = [
    [0.98, 0.99, 1, 1.01, 1.02], [0.96, 0.98, 1, 1.02, 1.04], [0.9, 0.95, 1, 1.05, 1.1], [0.8, 0.9, 1, 1.1, 1.2], [0.7, 0.85, 1, 1.2, 1.4],
    [0.5, 0.7, 1, 1.4, 2], [0.25, 0.5, 1, 2, 4], [0.1, 0.3, 1, 3, 10]
  ]
  const fitting = candidates.filter((ticks) => (ticks.at(-1) ?? 0) <= high * 1.0001)
  return (fitting.at(-1) ?? [1]).filter((tick) => tick >= 1 / high)
}
