import type { Route } from '../services.ts'

/** `GET /metrics`: Prometheus text. Never waits for a decode. */
export const metricsRoute: Route = (app, { metrics }) => {
  app.get('/metrics', { config: { answersWhileDraining: true } }, async (_request, reply) => {
    reply.type(metrics.contentType)
    return await metrics.render()
  })
}
