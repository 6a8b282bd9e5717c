/** Where values lie along an axis. */
export interface Scale {
  readonly low: number
  readonly high: number
  /** In ascending order, all within `low` and `high`. */
  readonly ticks: readonly number[]
  readonly isLogarithmic: boolean
  /** 0 at `low` and 1 at `high`; values beyond them, 0 on a logarithmic axis too, are put at the nearer end. */
  at (value: number): number
}

/** From `low` to `high`, widened to whole ticks; to 0 as well where the two are almost the same. */
export function linearScale (low: number, high: number, tickCount = 5): Scale {
  // Ticks so close would read the same.
  if (!(high - low > Math.abs(high) * 1e-4)) return linearScale(...around(high), tickCount)
  const step = niceStep(high - low, tickCount)
  const first = Math.floor(tidy(low / step))
  const last = Math.ceil(tidy(high / step))
  return {
    low: tidy(first * step),
    high: tidy(last * step),
    ticks: Array.from({ length: last - first + 1 }, (_, index) => tidy((first + index) * step)),
    isLogarithmic: false,
    at: (value) => clamp((value - first * step) / ((last - first) * step))
  }
}

/**
 * From `low` to `high`, widened to the next 1, 2 or 5 times a power of ten.
 * @param low above 0.
 */
export function logScale (low: number, high: number, tickCount = 7): Scale {
  const bottom = Math.max(low, Number.MIN_VALUE * 1e20)
  const from = floor125(bottom)
  const to = Math.max(ceil125(Math.max(high, bottom)), next125(from))
  return exactLogScale(from, to, logTicks(from, to, tickCount))
}

/** Logarithmic, with ticks of one's own and no widening. */
export function exactLogScale (low: number, high: number, ticks: readonly number[]): Scale {
  const span = Math.log(high / low)
  return {
    low,
    high,
    ticks,
    isLogarithmic: true,
    at: (value) => value > 0 && span > 0 ? clamp(Math.log(value / low) / span) : 0
  }
}

/** Linear, with ticks of one's own and no widening. */
export function exactLinearScale (low: number, high: number, ticks: readonly number[]): Scale {
  return { low, high, ticks, isLogarithmic: false, at: (value) => high > low ? clamp((value - low) / (high - low)) : 0.5 }
}

/** The round numbers within: every 1, 2, 5; or 1, 3; or power of ten; or every so many powers; whichever are not too many. */
export function logTicks (low: number, high: number, tickCount: number): number[] {
  const first = Math.floor(tidy(Math.log10(low)))
  const last = Math.ceil(tidy(Math.log10(high)))
  const within = (factors: readonly number[], every: number): number[] => {
    const ticks: number[] = []
    for (let power = Math.ceil(first / every) * every; power <= last; power += every) {
      for (const factor of factors) ticks.push(tidy(factor * 10 ** power))
    }
    return ticks.filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9))
  }
  for (const factors of [[1, 2, 5], [1, 3], [1]]) {
    const ticks = within(factors, 1)
    if (ticks.length <= tickCount) return ticks
  }
  return within([1], Math.ceil((last - first + 1) / tickCount))
}

/** 1, 2 or 5 times a power of ten, such that about `count` steps make up the span. */
export function niceStep (span: number, count: number): number {
  const rough = span / count
  const power = 10 ** Math.floor(Math.log10(rough))
  const factor = rough / power
  return tidy((factor < Math.SQRT2 ? 1 : factor < Math.sqrt(10) ? 2 : factor < Math.sqrt(50) ? 5 : 10) * power)
}

function floor125 (value: number): number {
  const power = 10 ** Math.floor(tidy(Math.log10(value)))
  const factor = tidy(value / power)
  return tidy((factor >= 5 ? 5 : factor >= 2 ? 2 : 1) * power)
}

function ceil125 (value: number): number {
  const floor = floor125(value)
  return tidy(value / floor) > 1 ? next125(floor) : floor
}

function next125 (value: number): number {
  const factor = Math.round(value / 10 ** Math.floor(tidy(Math.log10(value))))
  return tidy(value * (factor === 2 ? 2.5 : 2))
}

/** Without what binary fractions add: 0.3 for 0.30000000000000004. */
function tidy (value: number): number { return Number(value.toPrecision(12)) }

function clamp (position: number): number { return Math.min(1, Math.max(0, position)) }

function around (value: number): [number, number] {
  if (!Number.isFinite(value) || value === 0) return [0, 1]
  return value > 0 ? [0, value * 1.25] : [value * 1.25, 0]
}
