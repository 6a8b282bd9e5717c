import type { GgufFileInfo } from 'node-llama-cpp'
import { ServerError } from '../../domain/errors.ts'
import { asLaneId, asToken, type LaneId, type Token } from '../../domain/ids.ts'
import { poolingNumber, type Pooling } from '../../domain/pooling.ts'
import type { EmbeddingInfo, Tokenizer } from '../engine.ts'
import { EmbeddingLane } from './embedding-lane.ts'
import type { LlamaCppEngineOptions } from './engine-options.ts'
import { inputFrameOf } from './input-frame.ts'
import { architectureOf, poolingIn } from './model-info.ts'
import type { NativeBindings, NativeModel } from './native.ts'

/** Architectures whose scores llama.cpp puts through a softmax itself (`build_pooling` in `llama-graph.cpp`). */
const normalisedArchitectures: ReadonlySet<string> = new Set(['qwen3', 'qwen3vl'])

/** What a model does beside or instead of writing text. */
export interface EmbeddingPlan {
  readonly pooling: Pooling
  readonly laneCount: number
  readonly maxTokens: number
}

/**
 * How vectors are to be made: as an embedding model's file says, in all lanes; by the mean in the first lane of a model that writes
 * text and was asked to embed too. The latter takes no longer inputs than a step may have tokens, because streams wait for them.
 * @returns null when none are
 */
export function planEmbeddings (
  file: GgufFileInfo, { embeddings, laneCount, contextSize, maxStepTokens }: Pick<LlamaCppEngineOptions, 'embeddings' | 'laneCount' | 'contextSize' | 'maxStepTokens'>
): EmbeddingPlan | null {
  const pooling = poolingIn(file)
  if (pooling !== null) return { pooling, laneCount, maxTokens: contextSize }
  return embeddings === true ? { pooling: 'mean', laneCount: 1, maxTokens: Math.min(contextSize, maxStepTokens) } : null
}

/** What the file has to say so that llama.cpp pools like that; contexts that write text do not look at it. */
export const poolingOverrides = (file: GgufFileInfo, plan: EmbeddingPlan): Record<string, { readonly pooling_type: number }> =>
  ({ [architectureOf(file)]: { pooling_type: poolingNumber[plan.pooling] } })

export interface EmbedderParts {
  readonly bindings: NativeBindings
  readonly model: NativeModel
  readonly file: GgufFileInfo
  readonly tokenizer: Tokenizer
  readonly vocabularySize: number
  /** Of each lane. */
  readonly threads: number
  readonly flashAttention: boolean
}

/** The contexts of a model that make vectors. */
export class Embedder {
  readonly info: EmbeddingInfo
  readonly #lanes: readonly EmbeddingLane[]

  private constructor (info: EmbeddingInfo, lanes: readonly EmbeddingLane[]) {
    this.info = info
    this.#lanes = lanes
  }

  /** @throws ServerError `engine_error` when there is not enough memory, or the model makes no vectors after all */
  static async create ({ pooling, laneCount, maxTokens }: EmbeddingPlan, parts: EmbedderParts): Promise<Embedder> {
    const { bindings, model, file, tokenizer, vocabularySize, threads, flashAttention } = parts
    const info: EmbeddingInfo = {
      pooling,
      size: pooling === 'rank' ? 1 : model.getEmbeddingVectorSize(),
      maxTokens,
      laneCount,
      frame: inputFrameOf(model, file, tokenizer, pooling === 'rank')
    }
    const lanes: EmbeddingLane[] = []
    const embedder = new Embedder(info, lanes)
    try {
      for (let lane = 0; lane < laneCount; lane++) {
        const created = await EmbeddingLane.create(bindings, model, {
          id: asLaneId(lane),
          pooling,
          maxTokens,
          vocabularySize,
          threads,
          flashAttention,
          areScoresNormalised: normalisedArchitectures.has(architectureOf(file))
        })
        lanes.push(created)
        // So that the first request finds the weights read and the buffers made.
        await created.embed([asToken(info.frame.before[0] ?? 0)])
      }
      return embedder
    } catch (error) {
      await embedder.dispose()
      throw error
    }
  }

  /** See `Engine.embed`. */
  embed (lane: LaneId, tokens: readonly Token[]): Promise<Float32Array> {
    const found = this.#lanes[lane]
    return found?.embed(tokens) ?? Promise.reject(new ServerError('engine_error', `Lane ${lane} makes no vectors`))
  }

  async dispose (): Promise<void> {
    for (const lane of this.#lanes) await lane.dispose()
  }
}
