import { html, type Content, type Markup } from './markup.ts'

export interface BarCell {
  /** The length of the bar. */
  readonly value: number
  /** Where a thin line from the bar's end goes to, such as a high percentile. */
  readonly reach?: number
  /** Where a tick stands across the bar, such as what the value was meant to be. */
  readonly target?: number
  /** The value that fills the whole width; the same for all bars of a column. */
  readonly full: number
  readonly colour: string
  readonly tooltip: string
}

const width = 120
const height = 14

/** A bar for a cell of a table: the rows around it are its axis, the number beside it its label. */
export function barCell ({ value, reach, target, full, colour, tooltip }: BarCell): Markup {
  const at = (of: number): number => full > 0 ? Math.min(1, Math.max(0, of / full)) * (width - 2) : 0
  const line: Content = reach !== undefined && reach > value &&
    html`<path class="reach" d="M${at(value)} 7H${at(reach)}M${at(reach)} 3.5V10.5"/>`
  const tick: Content = target !== undefined && target > 0 && html`<path class="target" d="M${at(target)} 0V14"/>`
  return html`<svg class="cell" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" aria-hidden="true"
style="--c:${colour}"><title>${tooltip}</title><rect class="base" width="${width}" height="${height}"/>
<rect class="bar" y="2" width="${value > 0 ? Math.max(1, at(value)) : 0}" height="10" rx="1"/>${line}${tick}</svg>`
}
