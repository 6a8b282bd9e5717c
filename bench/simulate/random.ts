import { mixSeed } from '../../src/domain/seed.ts'

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
    // Box-Muller; the shift makes `mean` the mean, not the median.
    const normal = Math.sqrt(-2 * Math.log(1 - this.uniform())) * Math.cos(2 * Math.PI * this.uniform())
    return mean * Math.exp(sigma * normal - sigma * sigma / 2)
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
