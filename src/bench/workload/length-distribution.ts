import type { Random } from '../../domain/random.ts'
import { StartupError } from '../../domain/startup-error.ts'

/** How long texts are, in tokens. */
export interface LengthDistribution {
  /** As it was written. */
  readonly text: string
  readonly mean: number
  /** A whole number, at least 1. */
  draw (random: Random): number
}

const longest = 10_000_000
const forms = 'a number (128), uniform:64-256, or lognormal:128 (the mean; lognormal:128,0.5 sets the spread of the logarithm)'

/**
 * Reads `128`, `uniform:64-256`, `lognormal:128` or `lognormal:128,0.5`.
 * @throws StartupError that names the flag.
 */
export function parseLengths (text: string, flag: string): LengthDistribution {
  const [, kind, first, second] = /^(?:(uniform|lognormal):)?(\d{1,8})(?:[-,](\d{1,8}(?:\.\d{1,4})?))?$/.exec(text) ?? []
  const mean = Number(first)
  const isReadable = first !== undefined && mean >= 1 && mean <= longest && (kind === undefined) === (second === undefined && !text.includes(':'))
  if (isReadable && kind === undefined) return { text, mean, draw: () => mean }
  if (isReadable && kind === 'uniform' && second !== undefined && text.includes('-')) {
    const most = Number(second)
    if (Number.isInteger(most) && most >= mean && most <= longest) {
      return { text, mean: (mean + most) / 2, draw: (random) => mean + random.below(most - mean + 1) }
    }
  }
  if (isReadable && kind === 'lognormal' && !text.includes('-')) {
    const sigma = Number(second ?? 0.8)
    if (sigma <= 4) return { text, mean, draw: (random) => Math.min(longest, Math.max(1, Math.round(random.logNormal(mean, sigma)))) }
  }
  throw new StartupError(`${flag} is "${text}", but must be ${forms}, from 1 to ${longest} tokens`)
}
