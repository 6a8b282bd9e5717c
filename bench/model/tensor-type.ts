import { GGMLFileQuantizationType, GGMLQuantizationType } from '@huggingface/gguf'

/** How the elements of a tensor are stored: in blocks of equal size. */
export interface TensorType {
  readonly ggmlType: GGMLQuantizationType
  /** `general.file_type` of a model whose matrices have this type. */
  readonly fileType: GGMLFileQuantizationType
  /** Elements of a block. */
  readonly blockLength: number
  readonly blockBytes: number
  /** @param values whole blocks. `target` has room for exactly their bytes. */
  readonly encode: (values: Float32Array, target: Buffer) => void
}

/** Types of matrices. */
export const matrixTypes = {
  q8_0: { ggmlType: GGMLQuantizationType.Q8_0, fileType: GGMLFileQuantizationType.Q8_0, blockLength: 32, blockBytes: 34, encode: encodeQ8 },
  q4_0: { ggmlType: GGMLQuantizationType.Q4_0, fileType: GGMLFileQuantizationType.Q4_0, blockLength: 32, blockBytes: 18, encode: encodeQ4 },
  f16: { ggmlType: GGMLQuantizationType.F16, fileType: GGMLFileQuantizationType.F16, blockLength: 1, blockBytes: 2, encode: encodeF16 }
} as const satisfies Record<string, TensorType>

/** The type of vectors in all models. */
export const f32: TensorType = {
  ggmlType: GGMLQuantizationType.F32,
  fileType: GGMLFileQuantizationType.F32,
  blockLength: 1,
  blockBytes: 4,
  encode: (values, target) => values.forEach((value, index) => target.writeFloatLE(value, index * 4))
}

/*
 * Both block types hold a scale as F16, then integers that it multiplies. As in ggml (`quantize_row_q8_0_ref` and
 * `quantize_row_q4_0_ref`), all arithmetic rounds to 32 bits and divides by the scale before that is rounded to 16, so
 * that the bytes are those that llama.cpp's own tools would write.
 */

/** 32 signed bytes; the largest magnitude becomes 127. */
function encodeQ8 (values: Float32Array, target: Buffer): void {
  for (let start = 0, offset = 0; start < values.length; start += 32, offset += 34) {
    let largest = 0
    for (let index = start; index < start + 32; index++) largest = Math.max(largest, Math.abs(values[index]!))
    const scale = Math.fround(largest / 127)
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale)
    target.writeUInt16LE(toHalf(scale), offset)
    for (let index = 0; index < 32; index++) {
      target[offset + 2 + index] = roundAway(Math.fround(values[start + index]! * inverse))
    }
  }
}

/**
 * 32 numbers of 4 bits that mean -8 to 7: byte k holds element k in its low half and element 16 + k in its high one. The
 * element of the largest magnitude becomes -8, so the scale has the opposite sign of it.
 */
function encodeQ4 (values: Float32Array, target: Buffer): void {
  for (let start = 0, offset = 0; start < values.length; start += 32, offset += 18) {
    let largest = 0
    for (let index = start; index < start + 32; index++) {
      if (Math.abs(values[index]!) > Math.abs(largest)) largest = values[index]!
    }
    const scale = Math.fround(largest / -8)
    const inverse = scale === 0 ? 0 : Math.fround(1 / scale)
    target.writeUInt16LE(toHalf(scale), offset)
    for (let index = 0; index < 16; index++) {
      const low = toNibble(values[start + index]!, inverse)
      target[offset + 2 + index] = low | toNibble(values[start + 16 + index]!, inverse) << 4
    }
  }
}

function encodeF16 (values: Float32Array, target: Buffer): void {
  for (let index = 0; index < values.length; index++) target.writeUInt16LE(toHalf(values[index]!), index * 2)
}

const toNibble = (value: number, inverse: number): number =>
  Math.min(15, Math.trunc(Math.fround(Math.fround(value * inverse) + 8.5)))

/** As C's roundf: halves go away from zero, where Math.round takes them up. */
const roundAway = (value: number): number => value < 0 ? -Math.floor(0.5 - value) : Math.floor(value + 0.5)

const float = new Float32Array(1)
const bits = new Uint32Array(float.buffer)

/** The bits of the nearest 16-bit float (IEEE 754 binary16); halves go to the even one. */
export function toHalf (value: number): number {
  float[0] = value
  const sign = bits[0]! >>> 16 & 0x8000
  const magnitude = bits[0]! & 0x7FFF_FFFF
  if (magnitude > 0x7F80_0000) return sign | 0x7E00
  // 65520 is half way to the first power of two that has no 16-bit float.
  if (magnitude >= 0x477F_F000) return sign | 0x7C00
  // From 2^-14 on: 13 bits less of mantissa, and another bias of the exponent.
  if (magnitude >= 0x3880_0000) return sign | (magnitude - 0x3800_0000 + 0xFFF + (magnitude >>> 13 & 1)) >>> 13
  // Below, it counts in steps of 2^-24, which is what a 32-bit float just above 0.5 counts in too.
  float[0] = Math.abs(value) + 0.5
  return sign | bits[0]! - 0x3F00_0000
}
