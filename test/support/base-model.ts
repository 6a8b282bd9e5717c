import { writeGguf } from './gguf-writer.ts'

export interface BaseModelOptions {
  readonly architecture?: string
  readonly layers?: number
  readonly isTied?: boolean
  /** Of a mixture; 0 for a plain feed-forward layer. */
  readonly experts?: number
}

/** Sizes of the models that {@link writeBaseModel} writes. No two are equal, so that what is swapped does not fit. */
export const sizes = { width: 48, heads: 4, keyValueHeads: 2, headWidth: 8, feedForward: 80, vocabulary: 56 } as const

/** A model file with all matrices of a transformer, all zeros. */
export function writeBaseModel ({ architecture = 'llama', layers = 2, isTied = false, experts = 0 }: BaseModelOptions = {}): Buffer {
  const { width, heads, keyValueHeads, headWidth, feedForward, vocabulary } = sizes
  const expertShape = experts === 0 ? [] : [experts]
  const suffix = experts === 0 ? '' : '_exps'
  return writeGguf({
    metadata: {
      'general.architecture': architecture,
      'general.type': 'model',
      [`${architecture}.attention.head_count`]: heads,
      [`${architecture}.attention.head_count_kv`]: keyValueHeads,
      'tokenizer.ggml.tokens': Array.from({ length: vocabulary }, (_, token) => `token ${token}`)
    },
    tensors: [
      { name: 'token_embd.weight', shape: [width, vocabulary] },
      ...isTied ? [] : [{ name: 'output.weight', shape: [width, vocabulary] }],
      { name: 'output_norm.weight', shape: [width] },
      ...Array.from({ length: layers }, (_, layer) => [
        { name: `blk.${layer}.attn_norm.weight`, shape: [width] },
        { name: `blk.${layer}.attn_q.weight`, shape: [width, heads * headWidth] },
        { name: `blk.${layer}.attn_k.weight`, shape: [width, keyValueHeads * headWidth] },
        { name: `blk.${layer}.attn_v.weight`, shape: [width, keyValueHeads * headWidth] },
        { name: `blk.${layer}.attn_output.weight`, shape: [heads * headWidth, width] },
        ...experts === 0 ? [] : [{ name: `blk.${layer}.ffn_gate_inp.weight`, shape: [width, experts] }],
        { name: `blk.${layer}.ffn_gate${suffix}.weight`, shape: [width, feedForward, ...expertShape] },
        { name: `blk.${layer}.ffn_up${suffix}.weight`, shape: [width, feedForward, ...expertShape] },
        { name: `blk.${layer}.ffn_down${suffix}.weight`, shape: [feedForward, width, ...expertShape] }
      ]).flat()
    ]
  })
}
