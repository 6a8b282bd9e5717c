import { z } from 'zod'
import { detokenizedSchema, tokenCountSchema, tokenListAnswerSchema } from '../../schemas/answers/tokens.ts'
import { detokenizeSchema, tokenizeContentSchema, tokenizeMessagesSchema, tokenizePromptSchema } from '../../schemas/tokenize-request.ts'
import { accessErrors, bodyErrors, modelErrors } from '../error-codes.ts'
import type { Operation } from '../operation.ts'

const errors = [...accessErrors, ...bodyErrors, ...modelErrors, 'unsupported_value', 'chat_template_error'] as const

export const tokenOperations: readonly Operation[] = [
  {
    id: 'tokenize',
    method: 'post',
    paths: ['/v1/tokenize', '/tokenize'],
    tag: 'Tokens',
    summary: 'Tokens of a text or conversation',
    description: 'In llama-server\'s form (`content`) or in vLLM\'s (`prompt` or `messages`). `model` may be left out when there is only one.',
    body: { schemas: [tokenizePromptSchema, tokenizeMessagesSchema, tokenizeContentSchema], example: { model: 'drawbridge-demo', prompt: 'Hello!' } },
    answers: { 200: { description: 'The tokens', json: z.union([tokenCountSchema, tokenListAnswerSchema]) } },
    errors
  },
  {
    id: 'detokenize',
    method: 'post',
    paths: ['/v1/detokenize', '/detokenize'],
    tag: 'Tokens',
    summary: 'Text of tokens',
    body: { schemas: [detokenizeSchema], example: { model: 'drawbridge-demo', tokens: [72, 105] } },
    answers: { 200: { description: 'The text, under llama-server\'s and under vLLM\'s name', json: detokenizedSchema } },
    errors
  }
]
