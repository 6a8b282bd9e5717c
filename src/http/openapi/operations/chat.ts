import { chatCompletionChunkSchema, chatCompletionSchema } from '../../schemas/answers/chat-completion.ts'
import { completionChunkSchema, completionSchema } from '../../schemas/answers/completion.ts'
import { chatCompletionRequestSchema } from '../../schemas/chat-completion-request.ts'
import { completionRequestSchema, withPrompt } from '../../schemas/completion-request.ts'
import { chatParameterPolicies, completionParameterPolicies } from '../../schemas/parameter-policy.ts'
import { generationErrors } from '../error-codes.ts'
import type { Operation } from '../operation.ts'

export const chatOperations: readonly Operation[] = [
  {
    id: 'createChatCompletion',
    method: 'post',
    paths: ['/v1/chat/completions'],
    tag: 'Chat',
    summary: 'Answers a conversation',
    description: 'In one piece, or with `"stream": true` as server-sent events: one chunk per event, then `data: [DONE]`. An error after the first event is an event with `error`, and no `[DONE]` follows.',
    body: {
      schemas: [chatCompletionRequestSchema],
      policies: chatParameterPolicies,
      example: { model: 'drawbridge-demo', messages: [{ role: 'user', content: 'Hello!' }] }
    },
    answers: { 200: { description: 'The answer', json: chatCompletionSchema, events: chatCompletionChunkSchema } },
    errors: generationErrors
  },
  {
    id: 'createCompletion',
    method: 'post',
    paths: ['/v1/completions'],
    tag: 'Chat',
    summary: 'Goes on with a text',
    description: 'Choice `i` of prompt `p` has the index `p × n + i`. Streams are as with chat completions.',
    body: {
      schemas: [completionRequestSchema],
      policies: completionParameterPolicies,
      nullable: { name: 'prompt', read: withPrompt },
      example: { model: 'drawbridge-demo', prompt: 'Once upon a time', max_tokens: 32 }
    },
    answers: { 200: { description: 'The answer', json: completionSchema, events: completionChunkSchema } },
    errors: generationErrors
  }
]
