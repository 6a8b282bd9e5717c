import type { Route } from '../services.ts'
import { listCards, toModelObject } from './models.ts'

/** `GET /v1/models/{id}`. Ids may have slashes and colons, encoded or not. */
export const modelRoute: Route = (app, services) => {
  app.get<{ Params: { '*': string } }>('/v1/models/*', async (request) => {
    const name = request.params['*']
    const card = listCards(services).find(({ id }) => id === name)
    if (card !== undefined) return toModelObject(card)
    // Names beside the listed ones; throws for those that nobody knows.
    const { host, picks: [adapter] } = services.adapters.select(name)
    const root = adapter === undefined ? host.root : services.adapters.find(adapter.name, host.id).reference
    return toModelObject({ id: name, root, parent: host.id, createdAt: host.createdAt, contextSize: host.info?.contextSize ?? null })
  })
}
