import type { OpenAI } from 'openai'
import { ServerError } from '../../domain/errors.ts'
import { asToken } from '../../domain/ids.ts'
import { encodeVector } from '../../domain/vector-bytes.ts'
import { needs } from '../needs.ts'
import { openEmbedder } from '../open-embedder.ts'
import { runEmbedding } from '../run-embedding.ts'
import { toPromptUsage } from '../usage.ts'
import { toUnitVector } from '../embedding-vector.ts'
import { checkTokens } from '../open-model.ts'
import { embeddingRequestSchema } from '../schemas/embedding-request.ts'
import { embeddingParameterPolicies } from '../schemas/parameter-policy.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import type { Route } from '../services.ts'

/** A vector as the client asked for it: numbers, or the base64 of 32-bit floats, which OpenAI's libraries ask for by themselves. */
type WireEmbedding = Omit<OpenAI.Embedding, 'embedding'> & { readonly embedding: readonly number[] | string }

/** `POST /v1/embeddings` */
export const embeddingsRoute: Route = (app, services) => {
  app.post('/v1/embeddings', needs('inference'), async (request) => {
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
    return {
      object: 'list',
      data: vectors.map((vector, index): WireEmbedding => {
        const unit = toUnitVector(vector, dimensions)
        return { object: 'embedding', index, embedding: body.encoding_format === 'base64' ? encodeVector(unit) : [...unit] }
      }),
      model: body.model,
      usage: toPromptUsage(promptTokens)
    } satisfies Omit<OpenAI.CreateEmbeddingResponse, 'data'> & { readonly data: readonly WireEmbedding[] }
  })
}
