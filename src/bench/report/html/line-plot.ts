import { mark } from './marks.ts'
import { html, type Content, type Markup } from './markup.ts'
import { textWidth } from './number-text.ts'
import { plotFrame, type Axis, type Place } from './plot-frame.ts'
import type { SeriesStyle } from './series.ts'

export interface PlotMark {
  readonly x: number
  readonly y: number
  readonly tooltip: string
  /** Ends of a vertical line through the mark: what repetitions spread over. */
  readonly range?: readonly [low: number, high: number]
}

export interface Curve {
  readonly style: SeriesStyle
  readonly points: readonly (readonly [x: number, y: number])[]
  /** `steps` goes sideways to the next point, then up or down to it. */
  readonly shape: 'line' | 'steps'
  readonly tooltip: string
  /** Written in the curve's colour after its last point. */
  readonly endLabel?: string
  readonly marks?: readonly PlotMark[]
  readonly hasHollowMarks?: boolean
  readonly isFilled?: boolean
  readonly isThin?: boolean
}

export interface LinePlot {
  readonly description: string
  readonly height: number
  readonly x: Axis
  readonly y: Axis
  readonly curves: readonly Curve[]
  /** Room to the right of the axes; more where labels need it. */
  readonly right?: number
  /** Areas between two curves. */
  readonly bands?: readonly { readonly style: SeriesStyle, readonly points: readonly (readonly [x: number, low: number, high: number])[] }[]
  /** Vertical lines with a label at the top; those without a style are grey. */
  readonly rules?: readonly { readonly x: number, readonly label: string, readonly style?: SeriesStyle, readonly tooltip: string }[]
  /** Bars that stand on the axis, in the colour of failures. */
  readonly bars?: readonly { readonly from: number, readonly to: number, readonly value: number, readonly tooltip: string }[]
  /** Columns that show a tooltip wherever the pointer is in them. */
  readonly columns?: readonly { readonly from: number, readonly to: number, readonly tooltip: string }[]
}

const lineHeight = 11.5

export function linePlot (plot: LinePlot): Markup {
  const labelWidths = plot.curves.map(({ endLabel }) => endLabel === undefined ? 0 : textWidth(endLabel) * 12 + 10)
  const margins = { top: plot.rules?.length ? 6 + lineHeight * plot.rules.length : 7, right: Math.max(plot.right ?? 0, ...labelWidths) }
  return plotFrame(plot.description, plot.height, plot.x, plot.y, margins, (place) => [
    plot.bands?.map(({ style, points }) => bandOf(points, style, place)) ?? null,
    plot.bars?.map(({ from, to, value, tooltip }) => value > 0 && html`<rect class="failure" x="${place.x(from)}" y="${place.y(value)}"
width="${Math.max(1.5, place.x(to) - place.x(from))}" height="${place.bottom - place.y(value)}"><title>${tooltip}</title></rect>`) ?? null,
    plot.rules?.map(({ x, label, style, tooltip }, index) => {
      const isLeft = place.x(x) > (place.left + place.right) / 2
      return html`<g class="rule"${style !== undefined && html` style="--c:${style.colour}"`}><title>${tooltip}</title>
<path d="M${place.x(x)} ${place.top - lineHeight * index - 8}V${place.bottom}"/>
<text x="${place.x(x) + (isLeft ? -4 : 4)}" y="${place.top - 3 - lineHeight * index}" text-anchor="${isLeft ? 'end' : 'start'}">${label}</text></g>`
    }) ?? null,
    plot.curves.map((curve) => curveOf(curve, place)),
    endLabels(plot.curves, place),
    plot.columns?.map(({ from, to, tooltip }) => html`<rect class="column" x="${place.x(from)}" y="${place.top}"
width="${place.x(to) - place.x(from)}" height="${place.bottom - place.top}"><title>${tooltip}</title></rect>`) ?? null,
  ])
}

function curveOf (curve: Curve, place: Place): Content {
  const { style, points, shape, tooltip, marks } = curve
  const first = points[0]
  if (first === undefined) return null
  const path = pathOf(points, shape, place)
  const area = curve.isFilled === true &&
    html`<path class="area" d="${path}V${place.bottom}H${place.x(first[0])}Z"/>`
  return html`<g style="--c:${style.colour}">${area}<path class="${curve.isThin ? 'line thin' : 'line'}"
stroke-dasharray="${style.dash}" d="${path}"><title>${tooltip}</title></path>
${marks?.map(({ x, y, tooltip, range }) => [
  range !== undefined && html`<path class="whisker" d="M${place.x(x)} ${place.y(range[0])}V${place.y(range[1])}"/>`,
  mark(style.marker, place.x(x), place.y(y), tooltip, curve.hasHollowMarks)
]) ?? null}</g>`
}

function pathOf (points: Curve['points'], shape: Curve['shape'], place: Place): string {
  let path = ''
  for (const [x, y] of points) {
    const left = short(place.x(x))
    const top = short(place.y(y))
    if (path === '') path = `M${left} ${top}`
    else path += shape === 'steps' ? `H${left}V${top}` : `L${left} ${top}`
  }
  return path
}

function bandOf (points: readonly (readonly [number, number, number])[], style: SeriesStyle, place: Place): Content {
  if (points.length < 2) return null
  const upper = points.map(([x, , high]) => `${short(place.x(x))} ${short(place.y(high))}`)
  const lower = points.map(([x, low]) => `${short(place.x(x))} ${short(place.y(low))}`).reverse()
  return html`<path class="band" style="--c:${style.colour}" d="M${[...upper, ...lower].join('L')}Z"/>`
}

/** Beside the ends of their curves, moved apart where they would lie on one another. */
function endLabels (curves: readonly Curve[], place: Place): Content {
  const labels = curves.flatMap(({ endLabel, points, style }) => {
    const last = points.at(-1)
    return endLabel === undefined || last === undefined ? [] : [{ endLabel, style, x: place.x(last[0]), y: place.y(last[1]) }]
  }).sort((a, b) => a.y - b.y)
  labels.forEach((label, index) => {
    label.y = Math.max(label.y, (labels[index - 1]?.y ?? -Infinity) + lineHeight)
  })
  for (let index = labels.length - 1, limit = place.bottom; index >= 0; index--) {
    const label = labels[index]
    if (label === undefined || label.y <= limit) break
    label.y = limit
    limit -= lineHeight
  }
  return labels.map(({ endLabel, style, x, y }) =>
    html`<text class="end" style="--c:${style.colour}" x="${x + 8}" y="${y + 3.6}">${endLabel}</text>`)
}

function short (coordinate: number): string { return String(Math.round(coordinate * 10) / 10) }
