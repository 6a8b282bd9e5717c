import { messageAnswerSchema, messageEventSchema, messageTokensSchema } from '../../schemas/answers/message.ts'
import { countMessageTokensRequestSchema, messageParameterPolicies, messageRequestSchema } from '../../schemas/message-request.ts'
import { accessErrors, bodyErrors, generationErrors, modelErrors } from '../error-codes.ts'
import type { Operation } from '../operation.ts'

const messages = [{ role: 'user', content: 'Hello!' }]

export const messageOperations: readonly Operation[] = [
  {
    id: 'createMessage',
    method: 'post',
    paths: ['/v1/messages'],
    tag: 'Messages',
    summary: 'Answers a conversation, in Anthropic\'s terms',
    description: 'In one piece, or with `"stream": true` as named server-sent events.',
    body: { schemas: [messageRequestSchema], policies: messageParameterPolicies, example: { model: 'drawbridge-demo', max_tokens: 100, messages } },
    answers: { 200: { description: 'The message', json: messageAnswerSchema, events: messageEventSchema } },
    errors: generationErrors,
    errorShape: 'anthropic'
  },
  {
    id: 'countMessageTokens',
    method: 'post',
    paths: ['/v1/messages/count_tokens'],
    tag: 'Messages',
    summary: 'Counts the tokens that a message would read',
    body: { schemas: [countMessageTokensRequestSchema], policies: messageParameterPolicies, example: { model: 'drawbridge-demo', messages } },
    answers: { 200: { description: 'How many', json: messageTokensSchema } },
    errors: [...accessErrors, ...bodyErrors, ...modelErrors, 'unsupported_parameter', 'unsupported_value', 'chat_template_error'],
    errorShape: 'anthropic'
  }
]
