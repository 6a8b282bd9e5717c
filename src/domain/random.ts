import { mixSeed } from './seed.ts'

/** A stream of pseudo-random numbers: equal seeds give equal streams on every machine. */
export class Random {
  readonly #seed: number
  #count = 0

  constructor (seed: number) {
    this.#seed = seed
  }

  /** An independent stream; equal labels give equal streams. */
  fork (label: number): Random { return new Random(mixSeed(this.#seed ^ 0x5bd1_e995, label)) }

  /** Unsigned 32-bit. */
  bits (): number { return mixSeed(this.#seed, this.#count++) }

  /** In [0, 1). */
  uniform (): number { return this.bits() / 0x1_0000_0000 }

  /** In [0, limit). */
  below (limit: number): number { return Math.floor(this.uniform() * limit) }

  /** Waiting times between events that happen at random, so many on average per unit of time. */
  exponential (mean: number): number { return -Math.log(1 - this.uniform()) * mean }

  /** Lengths of texts: most are short, a few are long. `sigma` is the spread of the logarithm. */
  logNormal (mean: number, sigma: number): number {
    // The shift makes `mean` the mean, not the median.
    return mean * Math.exp(sigma * this.normal() - sigma * sigma / 2)
  }

  /** Around 0 with a standard deviation of 1 (Box and Muller). */
  normal (): number {
    return Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform())
  }

  /**
   * The sum of `shape` exponential waiting times of mean 1, for fractions too (Marsaglia and Tsang, 2000).
   * @param shape above 0.
   */
  gamma (shape: number): number {
    if (shape < 1) return this.gamma(shape + 1) * (1 - this.uniform()) ** (1 / shape)
    const d = shape - 1 / 3
    const c = 1 / Math.sqrt(9 * d)
    for (;;) {
      const x = this.normal()
      const v = (1 + c * x) ** 3
      if (v > 0 && Math.log(1 - this.uniform()) < x * x / 2 + d - d * v + d * Math.log(v)) return d * v
    }
  }

  /** One of the items. @throws RangeError when there are none. */
  pick<T> (items: readonly T[]): T {
    const item = items[this.below(items.length)]
    if (item === undefined) throw new RangeError('There is nothing to pick from')
    return item
  }

  /** An index below `count`, low ones more often: number k in proportion to 1/(k + 1). */
  zipf (count: number): number {
    let total = 0
    for (let index = 0; index < count; index++) total += 1 / (index + 1)
    let left = this.uniform() * total
    for (let index = 0; index < count - 1; index++) {
      left -= 1 / (index + 1)
      if (left < 0) return index
    }
    return count - 1
  }
}
