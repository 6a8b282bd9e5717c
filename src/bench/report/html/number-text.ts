/** What stands where there is no number. */
export const noNumber = '–'

/** Three significant digits, thousands with commas, no exponents: `0.123`, `12.3`, `1,234`. */
export function numberText (value: number | null): string {
  if (value === null || !Number.isFinite(value)) return noNumber
  if (value === 0) return '0'
  // Rounded first, since 9.996 is 10.0.
  const magnitude = Math.floor(Math.log10(Math.abs(Number(value.toPrecision(3)))))
  return fixedText(value, Math.max(0, Math.min(2 - magnitude, 6)))
}

/** With so many decimals and commas between thousands. */
export function fixedText (value: number | null, decimals: number): string {
  if (value === null || !Number.isFinite(value)) return noNumber
  const text = value.toFixed(decimals)
  return text.replace(/\B(?<!\.\d*)(?=(\d{3})+(?!\d))/g, ',')
}

/** How many decimals a column needs so that its numbers line up and the largest has about four digits. */
export function columnDecimals (values: readonly number[]): number {
  const largest = values.reduce((most, value) => Number.isFinite(value) ? Math.max(most, Math.abs(value)) : most, 0)
  return largest >= 1000 ? 0 : largest >= 100 ? 1 : 2
}

/** `350 µs`, `12.3 ms`, `4.56 s`. */
export function durationText (ms: number | null): string {
  if (ms === null || !Number.isFinite(ms)) return noNumber
  if (ms === 0) return '0 ms'
  // Rounded first, so that 999.9 ms becomes 1.00 s.
  const rounded = Number(ms.toPrecision(3))
  if (rounded < 0.1) return `${numberText(rounded * 1000)} µs`
  return rounded < 1000 ? `${numberText(rounded)} ms` : `${numberText(Math.max(1, ms / 1000))} s`
}

/** Of times on an axis, which are round: `200 µs`, `50 ms`, `2 s`. */
export function durationTickText (ms: number): string {
  if (ms === 0) return '0'
  if (ms < 0.1) return `${plainText(ms * 1000)} µs`
  return ms < 1000 ? `${plainText(ms)} ms` : `${plainText(ms / 1000)} s`
}

/** As short as it can be: `0.5`, `20`, `15,000`. */
export function plainText (value: number): string {
  const rounded = Number(value.toPrecision(6))
  return Math.abs(rounded) < 1000 ? String(rounded) : rounded.toLocaleString('en-US')
}

/** Of a share from 0 to 1. What is not all never reads 100%, and what is not nothing never 0%. */
export function percentText (share: number | null): string {
  if (share === null || !Number.isFinite(share)) return noNumber
  if (share === 0) return '0%'
  if (share === 1) return '100%'
  if (share < 0.001) return '<0.1%'
  return `${(share > 0.999 && share < 1 ? 99.9 : share * 100).toFixed(1)}%`
}

/** `1 request`, `3 requests`. */
export function countText (count: number, noun: string): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? noun : `${noun}s`}`
}

/** At most so many characters, the last one an ellipsis when some were left out. */
export function shortText (text: string, limit: number): string {
  const characters = Array.from(text.length > limit * 2 ? text.slice(0, limit * 2) : text)
  return characters.length > limit || text.length > limit * 2 ? `${characters.slice(0, limit - 1).join('')}…` : text
}

/** Wide enough for a label of so many characters in an SVG, in units of its font's size. */
export function textWidth (text: string): number {
  return Array.from(text).reduce((sum, character) => sum + (/[.,:;'|il \u2009]/.test(character) ? 0.3 : 0.58), 0)
}
