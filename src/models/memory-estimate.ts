import type { ModelFile } from './model-file.ts'

/** Bytes that a loaded model takes. An estimate that is meant to be a little too high. */
export interface MemoryEstimate {
  readonly weightsBytes: number
  /** The KV caches of all slots. */
  readonly cacheBytes: number
  /** Intermediate results of a step, in every lane. */
  readonly workBytes: number
  readonly totalBytes: number
}

export interface MemoryShape {
  readonly lanes: number
  /** In all lanes together. */
  readonly slots: number
  readonly contextSize: number
  readonly stepTokens: number
  /** Whether a model that writes text makes vectors too; absent is no. */
  readonly embeds?: boolean
}

/** An engine process without any model: Node, the bindings and llama.cpp's own tables. */
const processBytes = 128 * 1024 ** 2

/** A slot's samplers and its share of the graph. */
const slotBytes = 128 * 1024

/** A draft model reads so many tokens at once, however few its model does. */
const smallestDraftBatch = 256

/** llama.cpp rounds the cells of a cache up to a multiple of this. */
const cellPadding = 256

/**
 * Estimates what a model takes, and its draft model with it.
 * @param draft null where there is none
 */
export function estimateMemory (model: ModelFile, shape: MemoryShape, draft: ModelFile | null = null): MemoryEstimate {
  const own = estimateOne(model, shape)
  if (draft === null) return own
  const contextSize = Math.min(shape.contextSize, draft.trainContextSize ?? Infinity)
  const second = estimateOne(draft, { ...shape, contextSize, stepTokens: Math.max(shape.stepTokens, smallestDraftBatch) })
  return {
    weightsBytes: own.weightsBytes + second.weightsBytes,
    cacheBytes: own.cacheBytes + second.cacheBytes,
    // They are in the same process.
    workBytes: own.workBytes + second.workBytes - processBytes,
    totalBytes: own.totalBytes + second.totalBytes - processBytes
  }
}

/**
 * Estimates what a model takes with so many slots of such a context. A cache costs, for each token and layer, the keys
 * and values of all KV heads in 16 bits; the work of a step is above all its logits and widest activations, in 32 bits
 * (flash attention keeps no scores); llama.cpp makes room for the logits of vectors too. Where the file does not tell its cache's shape, the cache is left out.
 */
function estimateOne (model: ModelFile, shape: MemoryShape): MemoryEstimate {
  const weightsBytes = model.sizeBytes
  const cells = Math.ceil(shape.contextSize / cellPadding) * cellPadding
  const floatsPerToken = model.vocabularySize + 8 * model.embeddingLength + 3 * model.feedForwardLength
  const workBytes = processBytes + slotBytes * shape.slots + shape.lanes * Math.min(shape.stepTokens, shape.contextSize * shape.slots) * floatsPerToken * 4
  const cacheBytes = (model.kvBytesPerToken ?? 0) * cells * shape.slots
  const embeddingBytes = shape.embeds === true ? embeddingContextBytes(model, Math.min(shape.stepTokens, shape.contextSize), floatsPerToken) : 0
  return { weightsBytes, cacheBytes, workBytes: workBytes + embeddingBytes, totalBytes: weightsBytes + cacheBytes + workBytes + embeddingBytes }
}

/** A context for one input of so many tokens, beside those of the lanes. */
const embeddingContextBytes = (model: ModelFile, tokens: number, floatsPerToken: number): number =>
  (model.kvBytesPerToken ?? 0) * Math.ceil(tokens / cellPadding) * cellPadding + tokens * floatsPerToken * 4
