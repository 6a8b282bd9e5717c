import { tensorBlock } from '../../models/tensor-size.ts'

export const ggmlType = { f32: 0, f16: 1, bf16: 30 } as const

/** A type of number that an adapter's weights may have. */
export interface WeightType {
  readonly name: string
  /** Elements and bytes of a block. */
  readonly elements: number
  readonly bytes: number
  /** Where the floating-point numbers of a block are, from its start: all of them, or the scales of a quantized one. */
  readonly floats: readonly number[]
  readonly floatType: 'f32' | 'f16' | 'bf16'
}

/**
 * The types that llama.cpp can both multiply with and look rows up in, by their number in ggml: with integers and F64 it ends
 * its process. The places of the scales are those of the block structs in ggml-common.h.
 */
const known: Readonly<Record<number, Pick<WeightType, 'name' | 'floats'> & { readonly floatType?: WeightType['floatType'] }>> = {
  [ggmlType.f32]: { name: 'F32', floats: [0], floatType: 'f32' },
  [ggmlType.f16]: { name: 'F16', floats: [0] },
  [ggmlType.bf16]: { name: 'BF16', floats: [0], floatType: 'bf16' },
  2: { name: 'Q4_0', floats: [0] },
  3: { name: 'Q4_1', floats: [0, 2] },
  6: { name: 'Q5_0', floats: [0] },
  7: { name: 'Q5_1', floats: [0, 2] },
  8: { name: 'Q8_0', floats: [0] },
  10: { name: 'Q2_K', floats: [80, 82] },
  11: { name: 'Q3_K', floats: [108] },
  12: { name: 'Q4_K', floats: [0, 2] },
  13: { name: 'Q5_K', floats: [0, 2] },
  14: { name: 'Q6_K', floats: [208] },
  20: { name: 'IQ4_NL', floats: [0] },
  23: { name: 'IQ4_XS', floats: [0] }
}

/** @returns null for types that an adapter cannot have. */
export function weightType (type: number): WeightType | null {
  const entry = known[type]
  const block = tensorBlock(type)
  return entry === undefined || block === null ? null : { ...block, floatType: 'f16', ...entry }
}

export const weightTypeNames = Object.values(known).map(({ name }) => name)
