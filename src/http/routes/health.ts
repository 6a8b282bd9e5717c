import type { Route } from '../services.ts'

/** `GET /health`: the process is alive. Says nothing of models; that is what `/ready` is for. */
export const healthRoute: Route = (app) => {
  app.get('/health', { config: { isPublic: true, answersWhileDraining: true } }, async () => ({ status: 'ok' }))
}
