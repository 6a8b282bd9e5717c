import type { FileHandle } from 'node:fs/promises'
import type { WeightRange } from './check-header.ts'
import { readExactly } from './open-file.ts'
import type { Refuse } from './refusal.ts'
import { weightType, type WeightType } from './weight-types.ts'

const pieceBytes = 1 << 20

/** Exponents of all ones: infinities and what is not a number. */
const exponentMasks = { f32: 0x7F80_0000, f16: 0x7C00, bf16: 0x7F80 } as const

/**
 * Refuses weights that are not numbers: one of them makes every answer of the adapter nonsense. Reads the file once, in
 * pieces, and lets the event loop run between them.
 */
export async function checkWeights (handle: FileHandle, ranges: readonly WeightRange[], refuse: Refuse, signal: AbortSignal): Promise<void> {
  for (const { name, type, position, sizeBytes } of ranges) {
    const known = weightType(type)
    if (known === null) throw new TypeError(`Tensors of the type ${type} are refused with the header`)
    const length = Math.floor(pieceBytes / known.bytes) * known.bytes
    for (let start = 0; start < sizeBytes; start += length) {
      signal.throwIfAborted()
      const piece = await readExactly(handle, position + start, Math.min(length, sizeBytes - start), refuse)
      const bad = firstNonFinite(piece, known)
      if (bad !== -1) {
        const index = (start / known.bytes + bad) * known.elements
        throw refuse(`has a weight in ${name} that is not a finite number (element ${index}); training went wrong, or the file is damaged`)
      }
    }
  }
}

/** @returns the first block with a number that is not finite, or -1. */
function firstNonFinite (bytes: Buffer, { bytes: blockBytes, floats, floatType }: WeightType): number {
  const mask = exponentMasks[floatType]
  // Plain weights are most of what is checked, and typed arrays read them many times faster; a buffer of its own size is aligned.
  if (blockBytes <= 4 && bytes.byteOffset % blockBytes === 0) {
    const values = blockBytes === 4
      ? new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4)
      : new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.length / 2)
    for (let index = 0; index < values.length; index++) {
      if (((values[index] as number) & mask) === mask) return index
    }
    return -1
  }
  for (let block = 0; block * blockBytes < bytes.length; block++) {
    for (const offset of floats) {
      const bits = floatType === 'f32' ? bytes.readUInt32LE(block * blockBytes + offset) : bytes.readUInt16LE(block * blockBytes + offset)
      if ((bits & mask) === mask) return block
    }
  }
  return -1
}
