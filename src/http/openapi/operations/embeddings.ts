import { embeddingListSchema, rankingSchema } from '../../schemas/answers/embedding.ts'
import { embeddingRequestSchema } from '../../schemas/embedding-request.ts'
import { embeddingParameterPolicies, rerankParameterPolicies } from '../../schemas/parameter-policy.ts'
import { rerankRequestSchema } from '../../schemas/rerank-request.ts'
import { runErrors } from '../error-codes.ts'
import type { Operation } from '../operation.ts'

export const embeddingOperations: readonly Operation[] = [
  {
    id: 'createEmbeddings',
    method: 'post',
    paths: ['/v1/embeddings'],
    tag: 'Embeddings',
    summary: 'Vectors of texts or tokens',
    description: 'With an embedding model, or any model where the server runs with `--embeddings`.',
    body: {
      schemas: [embeddingRequestSchema],
      policies: embeddingParameterPolicies,
      example: { model: 'bge-small-en-v1.5', input: ['the river bank', 'hello, world'] }
    },
    answers: { 200: { description: 'The vectors, in the order of the inputs', json: embeddingListSchema } },
    errors: runErrors
  },
  {
    id: 'rerank',
    method: 'post',
    paths: ['/v1/rerank', '/v2/rerank', '/rerank'],
    tag: 'Embeddings',
    summary: 'Documents by how well they answer a query',
    description: 'In the shape of Jina and Cohere, with a reranker.',
    body: {
      schemas: [rerankRequestSchema],
      policies: rerankParameterPolicies,
      example: { model: 'bge-reranker-v2-m3', query: 'Where does the river run?', documents: ['The river runs by the town.', 'Hello, world.'] }
    },
    answers: { 200: { description: 'The documents, the best first', json: rankingSchema } },
    errors: runErrors
  }
]
