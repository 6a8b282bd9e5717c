import { ServerError } from '../../domain/errors.ts'
import type { LaneId, Token } from '../../domain/ids.ts'
import type { Pooling } from '../../domain/pooling.ts'
import { mixSeed } from '../../domain/seed.ts'
import type { EmbeddingInfo } from '../engine.ts'
import type { Vocabulary } from './vocabulary.ts'

const vectorSize = 16

/** What the fake engine needs to make vectors. */
export interface FakeEmbedderOptions {
  readonly pooling: Pooling
  readonly laneCount: number
  readonly maxTokens: number
}

/**
 * Vectors without a model, which are a pure function of the tokens: each token has a random one of its own, and they are pooled. So
 * texts that share words are near each other. A document's score is the share of the query's tokens that it has.
 */
export class FakeEmbedder {
  readonly info: EmbeddingInfo
  readonly #vocabularySize: number
  readonly #separator: Token
  readonly #busyLanes = new Set<LaneId>()

  constructor ({ entries, control }: Vocabulary, options: FakeEmbedderOptions) {
    this.#vocabularySize = entries.length
    this.#separator = control['<|endoftext|>']
    this.info = {
      ...options,
      size: options.pooling === 'rank' ? 1 : vectorSize,
      frame: { before: [control['<|im_start|>']], between: [this.#separator], after: [control['<|im_end|>']] }
    }
  }

  /** @param pass lets the time of the pass go by */
  async embed (lane: LaneId, tokens: readonly Token[], pass: () => Promise<void>): Promise<Float32Array> {
    this.#check(lane, tokens)
    this.#busyLanes.add(lane)
    try {
      const vector = this.info.pooling === 'rank' ? Float32Array.of(this.#score(tokens)) : this.#vector(tokens)
      await pass()
      return vector
    } finally {
      this.#busyLanes.delete(lane)
    }
  }

  #check (lane: LaneId, tokens: readonly Token[]): void {
    const { laneCount, maxTokens } = this.info
    const refuse = (reason: string): never => { throw new ServerError('engine_error', reason) }
    if (!(lane >= 0 && lane < laneCount)) refuse(`Lane ${lane} makes no vectors`)
    if (this.#busyLanes.has(lane)) refuse(`Lane ${lane} was asked for a vector during another`)
    if (tokens.length === 0 || tokens.length > maxTokens) refuse(`An input of ${tokens.length} tokens; it must have 1 to ${maxTokens}`)
    const outside = tokens.find((token) => !(token >= 0 && token < this.#vocabularySize))
    if (outside !== undefined) refuse(`Token ${outside} is outside the vocabulary of ${this.#vocabularySize} tokens`)
  }

  #vector (tokens: readonly Token[]): Float32Array {
    const { pooling } = this.info
    const pooled = pooling === 'cls' ? tokens.slice(0, 1) : pooling === 'last' ? tokens.slice(-1) : tokens
    return Float32Array.from({ length: vectorSize }, (_, index) =>
      pooled.reduce((sum, token) => sum + mixSeed(token, index) / 2 ** 31 - 1, 0) / pooled.length)
  }

  #score (tokens: readonly Token[]): number {
    const end = tokens.lastIndexOf(this.#separator)
    const query = new Set(tokens.slice(1, Math.max(1, end)))
    const document = new Set(tokens.slice(end + 1))
    const shared = [...query].filter((token) => document.has(token)).length
    return (shared + 0.5) / (query.size + 1)
  }
}
