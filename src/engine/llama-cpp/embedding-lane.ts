import { ServerError } from '../../domain/errors.ts'
import type { LaneId, Token } from '../../domain/ids.ts'
import type { Pooling } from '../../domain/pooling.ts'
import type { NativeBindings, NativeContext, NativeModel } from './native.ts'

export interface EmbeddingLaneOptions {
  readonly id: LaneId
  readonly pooling: Pooling
  readonly maxTokens: number
  readonly vocabularySize: number
  readonly threads: number
  readonly flashAttention: boolean
  /** Whether scores are probabilities already, as llama.cpp gives those of some architectures. */
  readonly areScoresNormalised: boolean
}

const noLogits = new Uint32Array(0)

/**
 * One llama.cpp context that makes vectors, one input at a time: the bindings give the pooled vector of sequence 0 alone, so that
 * further inputs in a decode would be computed for nothing.
 */
export class EmbeddingLane {
  readonly #options: EmbeddingLaneOptions
  readonly #context: NativeContext
  #running: Promise<unknown> | null = null

  private constructor (options: EmbeddingLaneOptions, context: NativeContext) {
    this.#options = options
    this.#context = context
  }

  /** @throws ServerError `engine_error` when there is not enough memory, or the model makes no vectors after all */
  static async create (bindings: NativeBindings, model: NativeModel, options: EmbeddingLaneOptions): Promise<EmbeddingLane> {
    const { maxTokens, threads, flashAttention } = options
    const context = new bindings.AddonContext(model, {
      contextSize: maxTokens,
      // Pooling needs all tokens of an input in one batch.
      batchSize: maxTokens,
      sequences: 1,
      threads,
      flashAttention: flashAttention ? 'auto' : false,
      swaFullCache: false,
      embeddings: true
    })
    const isMade = await context.init()
    const lane = new EmbeddingLane(options, context)
    if (!isMade) {
      await lane.dispose()
      throw new ServerError('engine_error', `There is not enough memory to embed inputs of ${maxTokens} tokens`)
    }
    return lane
  }

  /** See `Engine.embed`. */
  embed (tokens: readonly Token[]): Promise<Float32Array> {
    if (this.#running !== null) {
      return Promise.reject(new ServerError('engine_error', `Lane ${this.#options.id} was asked for a vector during another`))
    }
    const running = this.#compute(tokens).finally(() => { this.#running = null })
    this.#running = running
    return running
  }

  async dispose (): Promise<void> {
    await this.#running?.catch(() => {})
    await this.#context.dispose()
  }

  async #compute (tokens: readonly Token[]): Promise<Float32Array> {
    this.#check(tokens)
    const context = this.#context
    // Nothing to remove where a model keeps no cache.
    context.removeTokenCellsFromSequence(0, 0, -1)
    context.initBatch(tokens.length)
    context.addToBatch(0, 0, Uint32Array.from(tokens), noLogits)
    await context.decodeBatch()
    const isScore = this.#options.pooling === 'rank'
    const vector = Float32Array.from(context.getEmbedding(tokens.length, isScore ? 1 : 0))
    if (vector.some((value) => !Number.isFinite(value))) {
      throw new ServerError('engine_error', 'The model gave a vector with numbers that are not finite')
    }
    return isScore && !this.#options.areScoresNormalised ? vector.map(logistic) : vector
  }

  /** What llama.cpp would refuse, or read beyond its tables for. */
  #check (tokens: readonly Token[]): void {
    const { maxTokens, vocabularySize } = this.#options
    if (tokens.length === 0 || tokens.length > maxTokens) {
      throw new ServerError('engine_error', `An input of ${tokens.length} tokens; it must have 1 to ${maxTokens}`)
    }
    const outside = tokens.find((token) => !(token >= 0 && token < vocabularySize))
    if (outside !== undefined) {
      throw new ServerError('engine_error', `Token ${outside} is outside the vocabulary of ${vocabularySize} tokens`)
    }
  }
}

const logistic = (value: number): number => 1 / (1 + Math.exp(-value))
