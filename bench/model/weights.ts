import type { Tensor } from './shape.ts'
import { mixSeed } from '../../src/domain/seed.ts'

/** Embeddings of quiet tokens are so much shorter than others: their logits stay near zero, far below the highest. */
const quietGain = 1 / 16

export class RandomWeights {
  readonly #seed: number
  readonly #quietTokens: ReadonlySet<number>

  /** @param quietTokens ids that should practically never be generated, such as that of the end of a turn. */
  constructor (seed: number, quietTokens: ReadonlySet<number>) {
    this.#seed = seed
    this.#quietTokens = quietTokens
  }

  /**
   * Fills in whole rows of a tensor. Vectors are norms, whose elements are all the same.
   *
   * A matrix' elements have mean 0 and variance gain² / rowLength, so that a product with values of a size has values of
   * that size, times the gain, in every layer. They are uniform, not normal: sums of hundreds of them come out normal
   * anyway, and without a logarithm or cosine the bytes are the same on every machine.
   * @param firstRow where `values` begins.
   */
  fill (values: Float32Array, tensor: Tensor, tensorIndex: number, firstRow: number): void {
    const { gain, rowLength, rowCount } = tensor
    if (rowCount === null) {
      values.fill(gain)
      return
    }
    const streamSeed = mixSeed(this.#seed, tensorIndex)
    const isEmbedding = tensor.name === 'token_embd.weight'
    for (let start = 0; start < values.length; start += rowLength) {
      const row = firstRow + start / rowLength
      const rowGain = isEmbedding && this.#quietTokens.has(row) ? gain * quietGain : gain
      // A uniform distribution from -a to a has the variance a² / 3.
      const step = rowGain * Math.sqrt(3 / rowLength) / 2 ** 31
      for (let index = 0; index < rowLength; index++) {
        values[start + index] = (mixSeed(streamSeed, row * rowLength + index) - 2 ** 31) * step
      }
    }
  }
}
