import type { Route } from '../services.ts'
import { selectAllowed } from '../allowed-models.ts'
import { isFromAnthropicClient } from '../messages/anthropic-error.ts'
import { toModelInfo } from '../messages/model-page.ts'
import { needs } from '../needs.ts'
import { listCards, toModelObject } from './models.ts'

/** `GET /v1/models/{id}`. Ids may have slashes and colons, encoded or not. */
export const modelRoute: Route = (app, services) => {
  app.get<{ Params: { '*': string } }>('/v1/models/*', needs('inference', 'models'), async (request) => {
    const name = request.params['*']
    const { caller } = request.requestContext
    const show = isFromAnthropicClient(request) ? toModelInfo : toModelObject
    const card = listCards(services, caller).find(({ id }) => id === name)
    if (card !== undefined) return show(card)
    // Names beside the listed ones; throws for those that nobody knows.
    const { host, picks: [adapter] } = selectAllowed(services, caller, name)
    const root = adapter === undefined ? host.root : services.adapters.find(adapter.name, host.id).reference
    return show({ id: name, root, parent: host.id, createdAt: host.createdAt, contextSize: host.info?.contextSize ?? null })
  })
}
