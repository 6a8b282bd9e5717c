import { html, type Content, type Markup } from './markup.ts'
import { columnDecimals, fixedText } from './number-text.ts'

/** A column of texts has `text`; one of numbers has `value`, and is left out when no row has one. */
export interface Column<Row> {
  readonly heading: string
  readonly unit?: string
  readonly text?: (row: Row) => Content
  readonly value?: (row: Row) => number | null
  /** As many as the column's largest number suggests when not given. */
  readonly decimals?: number
  /** Set apart by colour where it is above 0. */
  readonly isAlarming?: boolean
}

/** A table in a box of its own that scrolls sideways where it does not fit. Its first column names the rows. */
export function table<Row> (caption: string, columns: readonly Column<Row>[], rows: readonly Row[]): Markup {
  const shown = columns.flatMap((column) => {
    if (column.text) return [{ column, cell: column.text, isNumeric: false }]
    const values = rows.map((row) => column.value?.(row) ?? null).filter((value) => value !== null)
    if (values.length === 0) return []
    const decimals = column.decimals ?? columnDecimals(values)
    const cell = (row: Row): Content => {
      const value = column.value?.(row) ?? null
      const text = fixedText(value, decimals)
      return column.isAlarming && (value ?? 0) > 0 ? html`<strong class="alarm">${text}</strong>` : text
    }
    return [{ column, cell, isNumeric: true }]
  })
  return html`<div class="scroll" tabindex="0" role="region" aria-label="${caption}"><table><caption>${caption}</caption>
<thead><tr>${shown.map(({ column, isNumeric }) => html`<th scope="col"${isNumeric && html` class="number"`}>${column.heading}${
  column.unit !== undefined && html` <span>${column.unit}</span>`}</th>`)}</tr></thead>
<tbody>${rows.map((row) => html`<tr>${shown.map(({ cell, isNumeric }, index) => index === 0
    ? html`<th scope="row">${cell(row)}</th>`
    : html`<td${isNumeric && html` class="number"`}>${cell(row)}</td>`)}</tr>
`)}</tbody></table></div>`
}
