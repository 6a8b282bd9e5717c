import { needs } from '../needs.ts'
import type { Route } from '../services.ts'

/** `GET /metrics`: Prometheus text. Never waits for a decode. */
export const metricsRoute: Route = (app, { config, metrics }) => {
  const isPublic = config.publicRoutes.includes('metrics')
  app.get('/metrics', { config: { ...needs('metrics').config, answersWhileDraining: true, isPublic } }, async (_request, reply) => {
    reply.type(metrics.contentType)
    return await metrics.render()
  })
}
