import type { Token } from '../../domain/ids.ts'

/** For a token that a sequence breaker may begin with: what must follow it. Empty when the token holds the breaker whole. */
export type BreakerTails = ReadonlyMap<number, readonly (readonly number[])[]>

export interface DryOptions {
  readonly multiplier: number
  readonly base: number
  /** Repetitions up to this many tokens are free. */
  readonly allowedLength: number
  /** How many recent tokens count; -1 is all of them. */
  readonly lastTokens: number
  readonly breakers: BreakerTails
}

/**
 * The penalties of DRY: for every token that would extend a repetition of what was just written, what is subtracted from
 * its logit. They depend on the tokens alone, so they need no state between draws.
 *
 * After p-e-w's sampler (https://github.com/oobabooga/text-generation-webui/pull/5677) in the form of llama.cpp's
 * `llama_sampler_dry_apply`, whose numbers it gives. llama.cpp's bindings feed theirs with drawn tokens only; here the
 * prompt counts too, as in llama-server.
 */
export function dryPenalties (history: readonly Token[], options: DryOptions): Map<number, number> {
  const { multiplier, base, allowedLength, lastTokens, breakers } = options
  const penalties = new Map<number, number>()
  const count = lastTokens < 0 ? history.length : Math.min(lastTokens, history.length)
  if (multiplier === 0 || base < 1 || count <= allowedLength) return penalties
  const recent = (back: number): number => history[history.length - 1 - back] as number

  const limit = repetitionLimit(recent, count, breakers)
  if (limit < allowedLength) return penalties

  const lengths = repetitionLengths(recent, count, limit)
  const longest = new Map<number, number>()
  for (let back = 1; back < count; back++) {
    const length = lengths[back] as number
    if (length < allowedLength) continue
    const next = recent(back - 1)
    if (length > (longest.get(next) ?? -1)) longest.set(next, length)
  }

  // The largest exponent that a 32-bit float can hold.
  const maxExponent = base > 1.000001 ? Math.floor(88.7228391 / Math.log(base)) : 0
  for (const [token, length] of longest) {
    if (breakers.get(token)?.some((tail) => tail.length === 0) === true) continue
    const exponent = length - allowedLength
    penalties.set(token, multiplier * base ** (maxExponent > 0 ? Math.min(exponent, maxExponent) : exponent))
  }
  return penalties
}

/** How long a repetition can be at most: it does not reach over the last sequence breaker. */
function repetitionLimit (recent: (back: number) => number, count: number, breakers: BreakerTails): number {
  for (let back = 0; back < count; back++) {
    const tails = breakers.get(recent(back))
    if (tails === undefined) continue
    let longest = -1
    for (const tail of tails) {
      if (tail.length <= longest || tail.length > back) continue
      if (tail.every((token, offset) => token === recent(back - offset - 1))) longest = tail.length
    }
    if (longest >= 0) return back - longest
  }
  return count
}

/**
 * For every position, counted from the end, how many tokens that end there equal those at the very end (the Z-algorithm,
 * run backwards).
 */
function repetitionLengths (recent: (back: number) => number, count: number, limit: number): Int32Array {
  const full = new Int32Array(count)
  let left = 0
  let right = 0
  for (let back = 1; back < count; back++) {
    let length = back <= right ? Math.min(right - back + 1, full[back - left] as number) : 0
    while (back + length < count && recent(length) === recent(back + length)) length++
    full[back] = length
    if (back + length - 1 > right) {
      left = back
      right = back + length - 1
    }
  }
  return full.map((length) => Math.min(length, limit))
}
