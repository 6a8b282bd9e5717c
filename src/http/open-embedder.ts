import type { Caller } from '../access/caller.ts'
import { ServerError } from '../domain/errors.ts'
import type { EmbeddingInfo } from '../engine/engine.ts'
import { openModel, type OpenModel } from './open-model.ts'
import type { HttpServices } from './services.ts'

/** A model that makes vectors, or ranks documents. */
export interface OpenEmbedder extends OpenModel {
  readonly embedding: EmbeddingInfo
}

/**
 * The model that a request for vectors or ranks names.
 * @throws ServerError what `openModel` throws; `unsupported_value` for a model that does not do it, or an adapter
 */
export function openEmbedder (services: HttpServices, caller: Caller, name: string, does: 'embed' | 'rank'): OpenEmbedder {
  const model = openModel(services, caller, name)
  const { embedding } = model.info
  const refuse = (reason: string): never => {
    throw new ServerError('unsupported_value', `The model "${name.slice(0, 256)}" ${reason}`, { param: 'model' })
  }
  if (embedding === undefined) {
    return refuse(does === 'embed'
      ? 'makes no embeddings: serve an embedding model, or start the server with --embeddings'
      : 'does not rank documents: serve a reranker, whose file has pooling of the type rank')
  }
  const canRank = embedding.pooling === 'rank'
  if (does === 'embed' && canRank) return refuse('ranks documents and makes no embeddings; use /v1/rerank')
  if (does === 'rank' && !canRank) return refuse('makes embeddings and does not rank documents; use /v1/embeddings')
  if (model.picks.length > 0) return refuse('is used with an adapter, and embeddings and ranks are made without; name the model alone')
  return { ...model, embedding }
}
