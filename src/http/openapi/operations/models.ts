import { z } from 'zod'
import { modelPageQuerySchema } from '../../messages/model-page.ts'
import { modelInfoSchema, modelListSchema, modelPageSchema, modelSchema } from '../../schemas/answers/model.ts'
import { accessErrors, queryErrors } from '../error-codes.ts'
import type { Operation } from '../operation.ts'

const forAnthropic = 'In Anthropic\'s shape for requests with the header `anthropic-version`.'

export const modelOperations: readonly Operation[] = [
  {
    id: 'listModels',
    method: 'get',
    paths: ['/v1/models'],
    tag: 'Models',
    summary: 'The models, and the adapters that can answer',
    description: `${forAnthropic} The parameters are for those alone.`,
    query: modelPageQuerySchema,
    answers: { 200: { description: 'The models', json: z.union([modelListSchema, modelPageSchema]) } },
    errors: [...accessErrors, ...queryErrors],
    errorShape: 'either'
  },
  {
    id: 'retrieveModel',
    method: 'get',
    paths: ['/v1/models/{model}'],
    tag: 'Models',
    summary: 'One model or adapter',
    description: forAnthropic,
    pathParameters: { model: 'Any name that a request may have; slashes and colons need not be encoded' },
    answers: { 200: { description: 'The model', json: z.union([modelSchema, modelInfoSchema]) } },
    errors: [...accessErrors, 'model_not_found', 'adapter_not_found'],
    errorShape: 'either'
  }
]
