import { html, type Content, type Markup } from './markup.ts'
import { textWidth } from './number-text.ts'
import type { Scale } from './scale.ts'

export interface Axis {
  readonly scale: Scale
  readonly format: (tick: number) => string
  /** What it measures and in which unit; only for axes whose ticks do not say it. */
  readonly label?: string
}

/** Where a plot draws, in its own units. */
export interface Place {
  readonly left: number
  readonly right: number
  readonly top: number
  readonly bottom: number
  x (value: number): number
  y (value: number): number
}

/** All plots are so wide; the page makes columns of them, so that their text stays readable on narrow screens. */
export const plotWidth = 400

/** The largest that the style gives the text: it is larger where a plot is narrow. */
const fontSize = 12

/**
 * Axes with ticks and grid lines, and a drawing between them.
 * @param margins room for labels above and to the right of the drawing.
 */
export function plotFrame (
  description: string, height: number, x: Axis, y: Axis, margins: { readonly top?: number, readonly right?: number },
  draw: (place: Place) => Content
): Markup {
  const yTexts = y.scale.ticks.map(y.format)
  // Most labels fit into 46, so that the axes of plots in a column line up.
  const left = Math.max(46, 8 + fontSize * Math.max(0, ...yTexts.map(textWidth)))
  const right = plotWidth - Math.max(margins.right ?? 0, 14)
  const top = Math.max(margins.top ?? 0, 7)
  const bottom = height - (x.label === undefined ? 18 : 32)
  const place: Place = {
    left,
    right,
    top,
    bottom,
    x: (value) => left + x.scale.at(value) * (right - left),
    y: (value) => bottom - y.scale.at(value) * (bottom - top)
  }
  const xTicks = withoutOverlap(x, place)
  return html`<svg class="plot" viewBox="0 0 ${plotWidth} ${height}" role="img" aria-label="${description}">
<g class="grid">${y.scale.ticks.map((tick) => html`<path d="M${left} ${place.y(tick)}H${right}"/>`)}
${x.scale.ticks.map((tick) => html`<path d="M${place.x(tick)} ${top}V${bottom}"/>`)}</g>
<path class="axis" d="M${left} ${bottom}H${right}"/>
<g class="ticks">${y.scale.ticks.map((tick, index) =>
    html`<text x="${left - 5}" y="${place.y(tick) + 3.8}" text-anchor="end">${yTexts[index] ?? ''}</text>`)}
${xTicks.map((tick) => html`<text x="${place.x(tick)}" y="${bottom + 14}" text-anchor="middle">${x.format(tick)}</text>`)}
${x.label !== undefined && html`<text x="${(left + right) / 2}" y="${height - 3}" text-anchor="middle">${x.label}</text>`}</g>
${draw(place)}</svg>`
}

/** A plot with its heading above; `note` continues the heading in a quieter voice. */
export function figure (heading: string, note: string, plot: Content): Markup {
  return html`<figure><figcaption><b>${heading}</b> <span>${note}</span></figcaption>${plot}</figure>`
}

/** As many of the axis' ticks as can have a label: on linear axes every second, third, …, so that they stay even. */
function withoutOverlap ({ scale, format }: Axis, place: Place): number[] {
  if (scale.isLogarithmic) return apartFrom(scale.ticks, format, place)
  for (let stride = 1; ; stride++) {
    const ticks = scale.ticks.filter((_, index) => index % stride === 0)
    if (apartFrom(ticks, format, place).length === ticks.length) return ticks
  }
}

/** Those that do not touch the one before. */
function apartFrom (ticks: readonly number[], format: Axis['format'], place: Place): number[] {
  let end = -Infinity
  return ticks.filter((tick) => {
    const half = fontSize * textWidth(format(tick)) / 2
    if (place.x(tick) - half < end + 6) return false
    end = place.x(tick) + half
    return true
  })
}
