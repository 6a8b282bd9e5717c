import type { TensorType } from './tensor-type.ts'
import { f32 } from './tensor-type.ts'

/** A decoder of the `llama` architecture with tied embeddings. */
export interface ModelShape {
  /** Elements of a token's vector. */
  readonly width: number
  readonly layerCount: number
  /** Query heads; a head has width / headCount elements. */
  readonly headCount: number
  /** Key and value heads; each serves headCount / kvHeadCount query heads. */
  readonly kvHeadCount: number
  readonly feedForwardWidth: number
  readonly vocabularySize: number
}

/**
 * Public shapes by their number of parameters: those of stories15M (llama2.c), SmolLM-135M, and three of Qwen2.5 without
 * their biases. Every row is a multiple of 32 long, the length of a block of Q8_0 and Q4_0.
 */
export const presets = {
  '15M': { width: 288, layerCount: 6, headCount: 6, kvHeadCount: 6, feedForwardWidth: 768, vocabularySize: 32_000 },
  '135M': { width: 576, layerCount: 30, headCount: 9, kvHeadCount: 3, feedForwardWidth: 1536, vocabularySize: 49_152 },
  '500M': { width: 896, layerCount: 24, headCount: 14, kvHeadCount: 2, feedForwardWidth: 4864, vocabularySize: 151_936 },
  '1.5B': { width: 1536, layerCount: 28, headCount: 12, kvHeadCount: 2, feedForwardWidth: 8960, vocabularySize: 151_936 },
  '3B': { width: 2048, layerCount: 36, headCount: 16, kvHeadCount: 2, feedForwardWidth: 11_008, vocabularySize: 151_936 }
} as const satisfies Record<string, ModelShape>

export interface Tensor {
  readonly name: string
  readonly type: TensorType
  /** Elements of a row, which is what one output sums over. */
  readonly rowLength: number
  /** Null for a vector. */
  readonly rowCount: number | null
  /** What the tensor does to the size of the values that pass through it: 1 keeps it. */
  readonly gain: number
}

/**
 * Queries and keys are larger than needed, so that a position attends to few others: with flat attention the next token
 * would hang on the last one alone, and greedy answers would soon go in a circle.
 */
const attentionGain = 2

/**
 * Makes the logits spread as wide as those of a trained model, whose next token has a few bits of surprise. With 1, all
 * tokens would be about as likely, and a sampler with top-p would have to sort them all.
 */
const outputGain = 4

/** The tensors that llama.cpp wants of this architecture, in the order of the file. */
export function tensorsOf (shape: ModelShape, type: TensorType): readonly Tensor[] {
  const { width, feedForwardWidth } = shape
  const kvWidth = width / shape.headCount * shape.kvHeadCount
  const matrix = (name: string, rowLength: number, rowCount: number, gain = 1): Tensor => ({ name, type, rowLength, rowCount, gain })
  const norm = (name: string, gain = 1): Tensor => ({ name, type: f32, rowLength: width, rowCount: null, gain })
  return [
    matrix('token_embd.weight', width, shape.vocabularySize),
    ...Array.from({ length: shape.layerCount }, (_, layer) => [
      norm(`blk.${layer}.attn_norm.weight`),
      matrix(`blk.${layer}.attn_q.weight`, width, width, attentionGain),
      matrix(`blk.${layer}.attn_k.weight`, width, kvWidth, attentionGain),
      matrix(`blk.${layer}.attn_v.weight`, width, kvWidth),
      matrix(`blk.${layer}.attn_output.weight`, width, width),
      norm(`blk.${layer}.ffn_norm.weight`),
      matrix(`blk.${layer}.ffn_gate.weight`, width, feedForwardWidth),
      matrix(`blk.${layer}.ffn_up.weight`, width, feedForwardWidth),
      matrix(`blk.${layer}.ffn_down.weight`, feedForwardWidth, width)
    ]).flat(),
    norm('output_norm.weight', outputGain)
  ]
}

/**
 * How much of its base's own output an adapter adds. Enough that its greedy answers are others, and little enough that it does not
 * drown what it is added to.
 */
const adapterGain = 0.3

/** The tensors of a LoRA adapter that changes every matrix of every layer, in the order of the file. */
export function adapterTensorsOf (shape: ModelShape, type: TensorType, rank: number): readonly Tensor[] {
  return tensorsOf(shape, type).filter(({ name, rowCount }) => name.startsWith('blk.') && rowCount !== null).flatMap(({ name, rowLength, rowCount, gain }) => [
    { name: `${name}.lora_a`, type, rowLength, rowCount: rank, gain: 1 },
    { name: `${name}.lora_b`, type, rowLength: rank, rowCount, gain: gain * adapterGain }
  ])
}

export const elementCountOf = ({ rowLength, rowCount }: Tensor): number => rowLength * (rowCount ?? 1)

export const sizeBytesOf = (tensor: Tensor): number =>
  elementCountOf(tensor) / tensor.type.blockLength * tensor.type.blockBytes
