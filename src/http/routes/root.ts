import type { FastifyRequest } from 'fastify'
import { needs } from '../needs.ts'
import type { Route } from '../services.ts'
import { listCards } from './models.ts'

/** `GET /` and `GET /v1`: for people who opened the address in a browser. */
export const rootRoute: Route = (app, services) => {
  const { config } = services
  const handler = async ({ requestContext: { caller } }: FastifyRequest) => ({
    name: 'drawbridge',
    message: 'An OpenAI-compatible server. Point your client\'s base URL at /v1; Anthropic\'s clients want it without /v1.',
    models: listCards(services, caller).map(({ id }) => id),
    endpoints: ['/v1/chat/completions', '/v1/completions', '/v1/messages', '/v1/models', '/v1/adapters', '/v1/tokenize', '/v1/detokenize', '/health', '/ready', '/metrics', ...(config.apiDocs === 'on' ? ['/openapi.json', '/docs'] : [])]
  })
  app.get('/', needs('inference', 'models'), handler)
  app.get('/v1', needs('inference', 'models'), handler)
}
