import type { OpenAI } from 'openai'
import type { ModelCard } from '../../models/catalogue.ts'
import type { Route } from '../services.ts'

/** OpenAI's members, and those by which vLLM's clients tell adapters and context lengths. */
export const toModelObject = (card: ModelCard) => ({
  id: card.id,
  object: 'model',
  created: card.createdAt,
  owned_by: 'drawbridge',
  root: card.root,
  parent: card.parent,
  max_model_len: card.contextSize
}) satisfies OpenAI.Model & Record<string, unknown>

/** `GET /v1/models` */
export const modelsRoute: Route = (app, { catalogue }) => {
  app.get('/v1/models', async () => ({ object: 'list', data: catalogue.list().map(toModelObject) }))
}
