/**
 * A vector of length 1, of the first so many numbers: models that are trained for it (Matryoshka) have the most important ones first.
 * One that is all zeros stays so.
 */
export function toUnitVector (vector: Float32Array, dimensions: number): Float32Array {
  const part = vector.subarray(0, dimensions)
  const length = Math.sqrt(part.reduce((sum, value) => sum + value * value, 0))
  return length === 0 ? part : part.map((value) => value / length)
}
