/** Neighbouring buckets differ by this factor: percentiles are right within 0.5 %. */
const growth = 1.01
const logGrowth = Math.log(growth)
/** Below this, values count as 0. */
const smallest = 1e-3

/** Counts of non-negative values in buckets of equal relative width: any number of them in little memory. */
export class Histogram {
  readonly #buckets: number[] = []
  #zeros = 0
  #count = 0
  #sum = 0
  #max = 0

  get count (): number { return this.#count }
  get mean (): number { return this.#count === 0 ? 0 : this.#sum / this.#count }
  get max (): number { return this.#max }

  add (value: number): void {
    this.#count++
    this.#sum += value
    if (value > this.#max) this.#max = value
    if (value < smallest) {
      this.#zeros++
      return
    }
    const bucket = Math.floor(Math.log(value / smallest) / logGrowth)
    while (this.#buckets.length <= bucket) this.#buckets.push(0)
    this.#buckets[bucket]!++
  }

  /** The value below which this share (0 to 1) of all values lies; 0 when there are none. */
  percentile (share: number): number {
    let left = share * this.#count - this.#zeros
    if (left <= 0) return 0
    for (const [bucket, count] of this.#buckets.entries()) {
      left -= count
      if (left <= 0) return Math.min(this.#max, smallest * growth ** (bucket + 0.5))
    }
    return this.#max
  }
}
