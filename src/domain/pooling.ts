/**
 * How the vectors of an input's tokens become one: their mean, the first token's (`cls`) or the last one's. `rank` is no vector but a
 * score of how well a document answers a query.
 */
export type Pooling = 'mean' | 'cls' | 'last' | 'rank'

/** Architectures that read a text as a whole, for which llama.cpp keeps no cache (`create_memory` in `llama-model.cpp`). */
const encoders: ReadonlySet<string> = new Set([
  'bert', 'modern-bert', 'neo-bert', 'nomic-bert', 'nomic-bert-moe', 'jina-bert-v2', 'jina-bert-v3', 'eurobert', 'gemma-embedding'
])

/** Whether a model of that architecture computes a text from the start, with no cache of keys and values. */
export const isEncoder = (architecture: string): boolean => encoders.has(architecture)

/** By llama.cpp's numbers (`llama_pooling_type`); 0 is none. */
const byNumber: Readonly<Record<number, Pooling>> = { 1: 'mean', 2: 'cls', 3: 'last', 4: 'rank' }

export const poolingNumber = { mean: 1, cls: 2, last: 3, rank: 4 } as const satisfies Record<Pooling, number>

export interface PoolingFacts {
  /** `general.architecture` of the file. */
  readonly architecture: string
  /** `pooling_type` of the file, if it has one. */
  readonly poolingType: number | null
  /** Whether the file says that tokens see those after them. */
  readonly isNotCausal: boolean
}

/**
 * What a model file that cannot write text makes of one; null for a model that writes. Files that do not say how are read by the mean,
 * as most models of their kind are.
 */
export function poolingOf ({ architecture, poolingType, isNotCausal }: PoolingFacts): Pooling | null {
  const pooling = poolingType === null ? undefined : byNumber[poolingType]
  if (pooling !== undefined) return pooling
  return isEncoder(architecture) || architecture === 'llama-embed' || isNotCausal ? 'mean' : null
}
