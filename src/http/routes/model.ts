import type { Route } from '../services.ts'
import { toModelObject } from './models.ts'

/** `GET /v1/models/{id}`. Ids may have slashes and colons, encoded or not. */
export const modelRoute: Route = (app, { catalogue }) => {
  app.get<{ Params: { '*': string } }>('/v1/models/*', async (request) => {
    const name = request.params['*']
    const card = catalogue.list().find(({ id }) => id === name)
    if (card !== undefined) return toModelObject(card)
    // Names beside the listed ones; throws for those that nobody knows.
    const { host } = catalogue.resolve(name)
    return toModelObject({ id: name, root: host.root, parent: host.id === name ? null : host.id, createdAt: host.createdAt, contextSize: host.info?.contextSize ?? null })
  })
}
