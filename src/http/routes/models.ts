import type { OpenAI } from 'openai'
import type { Caller } from '../../access/caller.ts'
import { matchesAny } from '../../access/name-patterns.ts'
import type { ModelCard } from '../../models/catalogue.ts'
import { allowedAdapters } from '../allowed-models.ts'
import { isFromAnthropicClient } from '../messages/anthropic-error.ts'
import { toModelPage } from '../messages/model-page.ts'
import { needs } from '../needs.ts'
import type { HttpServices, Route } from '../services.ts'

/** OpenAI's members, those by which vLLM's clients tell adapters and context lengths, and what models do that do not write text alone. */
export const toModelObject = (card: ModelCard) => ({
  id: card.id,
  object: 'model',
  created: card.createdAt,
  owned_by: 'drawbridge',
  root: card.root,
  parent: card.parent,
  max_model_len: card.contextSize,
  ...(card.capabilities === undefined ? {} : { capabilities: card.capabilities })
}) satisfies OpenAI.Model & Record<string, unknown>

/** Models, then the adapters that can answer at once or are brought back when somebody asks. Clients take what is listed for loaded. What the caller may not use is not there. */
export function listCards ({ catalogue, adapters }: Pick<HttpServices, 'catalogue' | 'adapters'>, caller: Caller): readonly ModelCard[] {
  const models = catalogue.list().filter(({ id }) => matchesAny(caller.models, id))
  return [...models, ...allowedAdapters(caller, adapters).filter(({ state }) => state === 'ready' || state === 'evicted').map((adapter) => ({
    id: adapters.idOf(adapter),
    root: adapter.reference,
    parent: adapter.model,
    createdAt: Math.floor(adapter.createdAt / 1000),
    contextSize: models.find(({ id }) => id === adapter.model)?.contextSize ?? null
  }))]
}

/** `GET /v1/models` */
export const modelsRoute: Route = (app, services) => {
  app.get('/v1/models', needs('inference', 'models'), async (request) => {
    const cards = listCards(services, request.requestContext.caller)
    return isFromAnthropicClient(request) ? toModelPage(cards, request.query) : { object: 'list', data: cards.map(toModelObject) }
  })
}
