import type { FastifyRequest } from 'fastify'
import { runsModels } from '../needs.ts'
import { openEmbedder } from '../open-embedder.ts'
import { runEmbedding } from '../run-embedding.ts'
import { toPromptUsage } from '../usage.ts'
import { rerankParameterPolicies } from '../schemas/parameter-policy.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import { rerankRequestSchema } from '../schemas/rerank-request.ts'
import type { Route } from '../services.ts'

/** `POST /v1/rerank`, `/v2/rerank` and `/rerank`: Jina's and Cohere's clients read the same members. */
export const rerankRoute: Route = (app, services) => {
  const handler = async (request: FastifyRequest) => {
    const body = parseRequest(rerankRequestSchema, request.body, rerankParameterPolicies)
    const { query, documents, top_n: topN = documents.length, return_documents: returnsDocuments } = body
    const model = openEmbedder(services, request.requestContext.caller, body.model, 'rank')
    const wish = { query, inputs: documents.map((text) => ({ text })), param: 'documents', idPrefix: 'rerank' } as const
    const { id, vectors, promptTokens } = await runEmbedding(model, wish, body, request.requestContext, services)
    const results = vectors.map(([score = 0], index) => ({
      index,
      relevance_score: score,
      ...(returnsDocuments ? { document: { text: documents[index] } } : {})
    }))
    return {
      id,
      object: 'list',
      model: body.model,
      // Documents of the same score stay in their order.
      results: results.sort((a, b) => b.relevance_score - a.relevance_score).slice(0, topN),
      usage: toPromptUsage(promptTokens)
    }
  }
  for (const url of ['/v1/rerank', '/v2/rerank', '/rerank']) app.post(url, runsModels, handler)
}
