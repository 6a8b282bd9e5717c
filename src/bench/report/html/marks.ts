import { html, type Content, type Markup } from './markup.ts'
import type { Series, SeriesStyle } from './series.ts'

/** A mark around a point, with a tooltip; `--c` is the colour that it takes. */
export function mark (shape: SeriesStyle['marker'], x: number, y: number, tooltip: string, isHollow = false): Markup {
  return html`<g class="${isHollow ? 'mark hollow' : 'mark'}">${tooltip !== '' && html`<title>${tooltip}</title>`}${outline(shape, x, y)}</g>`
}

function outline (shape: SeriesStyle['marker'], x: number, y: number): Markup {
  switch (shape) {
    case 'circle': return html`<circle cx="${x}" cy="${y}" r="3"/>`
    case 'square': return html`<rect x="${x - 2.7}" y="${y - 2.7}" width="5.4" height="5.4"/>`
    case 'triangle': return html`<path d="M${x} ${y - 3.6}L${x + 3.5} ${y + 2.7}H${x - 3.5}Z"/>`
    case 'diamond': return html`<path d="M${x} ${y - 3.9}L${x + 3.9} ${y}L${x} ${y + 3.9}L${x - 3.9} ${y}Z"/>`
  }
}

/** A piece of a series' line with its mark, to stand beside its name. */
export function swatch (style: SeriesStyle): Markup {
  return html`<svg class="swatch" width="28" height="10" viewBox="0 0 28 10" aria-hidden="true" style="--c:${style.colour}">
<path class="line" stroke-dasharray="${style.dash}" d="M1 5H27"/>${mark(style.marker, 14, 5, '')}</svg>`
}

/** A series' swatch and its label, which does not wrap unless it is long. */
export function nameOf ({ style, label }: Pick<Series, 'style' | 'label'>): Markup {
  return html`<span class="${label.length < 36 ? 'name short' : 'name'}">${swatch(style)} <bdi>${label}</bdi></span>`
}

/** The names of several series; nothing for a single one, which needs no telling apart. */
export function legend (series: readonly Series[]): Content {
  if (series.length < 2) return null
  return html`<ul class="legend">${series.map((one) => html`<li>${nameOf(one)}</li>`)}</ul>`
}
