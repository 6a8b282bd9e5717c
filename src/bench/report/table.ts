import type { Spread } from '../measure/spread.ts'

/** Lines of a table in plain text, which is also Markdown. The first column is left-aligned, the others right. */
export function formatTable (header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) => Math.max(3, title.length, ...rows.map((row) => (row[column] ?? '').length)))
  const line = (cells: readonly string[]): string => `| ${widths.map((width, column) => {
    const cell = cells[column] ?? ''
    return column === 0 ? cell.padEnd(width) : cell.padStart(width)
  }).join(' | ')} |`
  const rule = `|${widths.map((width, column) => column === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`).join('|')}|`
  return [line(header), rule, ...rows.map(line)].join('\n')
}

/** A number for people: three significant digits, or all of a large one's whole part. */
export function formatNumber (value: number): string {
  if (!Number.isFinite(value)) return '-'
  if (Math.abs(value) >= 100) return Math.round(value).toLocaleString('en-US')
  return value.toPrecision(3)
}

/** `250 (240–260)`: the median, the least and the most. */
export const withRange = ({ median, min, max }: Spread): string => `${formatNumber(median)} (${formatNumber(min)}–${formatNumber(max)})`
