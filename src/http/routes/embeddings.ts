import { ServerError } from '../../domain/errors.ts'
import { asToken } from '../../domain/ids.ts'
import { toEmbeddingList } from '../embedding-list.ts'
import { runsModels } from '../needs.ts'
import { openEmbedder } from '../open-embedder.ts'
import { runEmbedding } from '../run-embedding.ts'
import { checkTokens } from '../open-model.ts'
import { embeddingRequestSchema } from '../schemas/embedding-request.ts'
import { embeddingParameterPolicies } from '../schemas/parameter-policy.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import type { Route } from '../services.ts'

/** `POST /v1/embeddings` */
export const embeddingsRoute: Route = (app, services) => {
  app.post('/v1/embeddings', runsModels, async (request, reply) => {
    const body = parseRequest(embeddingRequestSchema, request.body, embeddingParameterPolicies)
    const model = openEmbedder(services, request.requestContext.caller, body.model, 'embed')
    const { size } = model.embedding
    const { dimensions = size } = body
    if (dimensions > size) {
      throw new ServerError('invalid_value', `Invalid value for 'dimensions': the model's vectors have ${size}, but got ${dimensions}`, { param: 'dimensions' })
    }
    for (const [index, input] of body.input.entries()) if (typeof input !== 'string') checkTokens(input, model.info, `input[${index}]`)

    const inputs = body.input.map((input) => typeof input === 'string' ? { text: input } : { tokens: input.map(asToken) })
    const { vectors, promptTokens } = await runEmbedding(model, { inputs, param: 'input', idPrefix: 'embd' }, body, request.requestContext, services)
    const list = await toEmbeddingList(vectors, { model: body.model, promptTokens, dimensions, encoding: body.encoding_format })
    return await reply.type('application/json; charset=utf-8').send(list)
  })
}
