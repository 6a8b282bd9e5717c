/** How an option's value is written. What values are allowed is the schema's to say, not the kind's. */
export type ValueKind = 'text' | 'integer' | 'number' | 'switch' | 'duration' | 'bytes'

const durationUnits: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }
const byteUnits: Record<string, number> = {
  B: 1, kB: 1000, MB: 1000 ** 2, GB: 1000 ** 3, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3
}

const switchWords: Record<string, boolean> = { true: true, 1: true, yes: true, false: false, 0: false, no: false }

/**
 * Turns what a person wrote into the value the schema checks. Text that is not of the kind comes back as it is, for the
 * schema to accept (`auto`) or refuse: only plain decimal forms count as numbers, so `1e3`, `0x10`, ` 5` and the empty
 * text are refused.
 */
export function parseValue (text: string, kind: ValueKind): string | number | boolean {
  switch (kind) {
    case 'text': return text
    case 'integer': return /^-?\d{1,15}$/.test(text) ? Number(text) : text
    case 'number': return /^-?\d{1,15}(\.\d{1,20})?$/.test(text) ? Number(text) : text
    case 'switch': return switchWords[text.toLowerCase()] ?? text
    case 'duration': return parseWithUnit(text, durationUnits)
    case 'bytes': return parseWithUnit(text, byteUnits)
  }
}

function parseWithUnit (text: string, units: Record<string, number>): string | number {
  const [, amount, unit] = /^(-?\d{1,15}(?:\.\d{1,6})?) ?([A-Za-z]*)$/.exec(text) ?? []
  if (amount === undefined || unit === undefined) return text
  const factor = unit === '' ? 1 : units[unit]
  if (factor === undefined) return text
  const value = Number(amount) * factor
  // Fractions are for units ("1.5s"); half a millisecond or half a byte is a mistake.
  return Number.isInteger(value) ? value : text
}

/** The shortest way to write a value back. */
export function formatValue (value: unknown, kind: ValueKind): string {
  if (typeof value !== 'number') return String(value)
  if (kind === 'duration') return formatWithUnit(value, [['h', 3_600_000], ['m', 60_000], ['s', 1000]], 'ms')
  if (kind === 'bytes') return formatWithUnit(value, [['GiB', 1024 ** 3], ['MiB', 1024 ** 2], ['KiB', 1024]], 'B')
  return String(value)
}

function formatWithUnit (value: number, units: readonly (readonly [string, number])[], smallest: string): string {
  for (const [unit, factor] of units) {
    if (value >= factor && value % factor === 0) return `${value / factor}${unit}`
  }
  return `${value}${smallest}`
}
