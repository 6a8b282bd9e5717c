import type { EngineInfo } from '../engine/engine.ts'
import type { Caller } from '../access/caller.ts'
import type { AdapterChoice, SelectedModel } from '../adapters/adapter-library.ts'
import type { ModelHost } from '../models/model-host.ts'
import { ServerError } from '../domain/errors.ts'
import { selectAllowed } from './allowed-models.ts'
import type { HttpServices } from './services.ts'

type ModelServices = Pick<HttpServices, 'adapters' | 'catalogue'>

export interface OpenModel extends SelectedModel {
  readonly info: EngineInfo
}

/**
 * The model and the adapters that a request's `model` and `lora` name and its caller may use, with what is known of them. Adapters are held once they are acquired.
 * @throws ServerError `model_not_found`, or `model_loading` and `engine_unavailable` for one that was never ready
 */
export function openModel (services: ModelServices, caller: Caller, name: string, choices: readonly AdapterChoice[] = []): OpenModel {
  const selected = selectAllowed(services, caller, name, choices)
  const { host } = selected
  if (host.info === null) throw notReady(host)
  return { ...selected, info: host.info }
}

/**
 * As {@link openModel}, for what writes text.
 * @throws ServerError `unsupported_value` for an embedding model too
 */
export function openGenerativeModel (services: ModelServices, caller: Caller, name: string, choices: readonly AdapterChoice[] = []): OpenModel {
  const model = openModel(services, caller, name, choices)
  const { canGenerate = true, embedding } = model.info
  if (canGenerate) return model
  const route = embedding?.pooling === 'rank' ? '/v1/rerank' : '/v1/embeddings'
  throw new ServerError('unsupported_value', `The model "${name.slice(0, 256)}" is an embedding model and writes no text; use ${route}`, { param: 'model' })
}

function notReady (host: ModelHost): ServerError {
  if (host.state === 'draining' || host.state === 'closed') {
    return new ServerError('server_draining', 'The server is shutting down')
  }
  if (host.state === 'failed') {
    return new ServerError('engine_unavailable', `The model "${host.id}" could not be loaded: ${host.failure?.message ?? 'the log has the reason'}`, { retryAfterMs: 60_000 })
  }
  return new ServerError('model_loading', `The model "${host.id}" is loading; try again shortly`)
}

/**
 * @param param the parameter that holds the tokens
 * @throws ServerError `invalid_value` when one of the tokens is none of the model's
 */
export function checkTokens (tokens: readonly number[], { model }: EngineInfo, param: string): void {
  const index = tokens.findIndex((token) => token >= model.vocabularySize)
  if (index === -1) return
  throw new ServerError('invalid_value', `Invalid value for '${param}[${index}]': token ${tokens[index]} is not in the vocabulary, whose tokens are 0 to ${model.vocabularySize - 1}`, { param: `${param}[${index}]` })
}

/** @throws ServerError `invalid_value` when a bias is for a token that the model does not have */
export function checkLogitBias (logitBias: readonly (readonly [number, number])[], { model }: EngineInfo): void {
  const unknown = logitBias.find(([token]) => token >= model.vocabularySize)
  if (unknown !== undefined) {
    throw new ServerError('invalid_value', `Invalid value for 'logit_bias': token ${unknown[0]} is not in the vocabulary, whose tokens are 0 to ${model.vocabularySize - 1}`, { param: 'logit_bias' })
  }
}
