import type { FastifyRequest } from 'fastify'
import { asToken } from '../../domain/ids.ts'
import { needs } from '../needs.ts'
import { checkTokens } from '../open-model.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import { detokenizeSchema } from '../schemas/tokenize-request.ts'
import type { Route } from '../services.ts'
import { openNamedOrOnlyModel } from './tokenize.ts'

/**
 * `POST /v1/detokenize` and `/detokenize`. Both forms of request look the same, so the answer has the text under both
 * names: `content` for llama-server's clients, `prompt` for vLLM's.
 */
export const detokenizeRoute: Route = (app, services) => {
  const handler = async (request: FastifyRequest) => {
    const { model, tokens } = parseRequest(detokenizeSchema, request.body)
    const { host, info } = openNamedOrOnlyModel(services, request.requestContext.caller, model)
    checkTokens(tokens, info, 'tokens')
    const text = await host.inference.detokenize(tokens.map(asToken))
    return { content: text, prompt: text }
  }
  app.post('/v1/detokenize', needs('inference'), handler)
  app.post('/detokenize', needs('inference'), handler)
}
