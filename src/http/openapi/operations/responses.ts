import { responseQuerySchema } from '../../routes/response.ts'
import { responseEventSchema } from '../../schemas/answers/response-event.ts'
import { itemListSchema, storedItemSchema } from '../../schemas/answers/response-item.ts'
import { conversationSchema, deletedConversationSchema, deletedResponseSchema, inputTokensSchema, responseSchema } from '../../schemas/answers/response.ts'
import { createConversationSchema, createItemsSchema, updateConversationSchema } from '../../schemas/conversation-requests.ts'
import { listQuerySchema } from '../../schemas/list-query.ts'
import { responseParameterPolicies } from '../../schemas/response-parameters.ts'
import { responseRequestSchema } from '../../schemas/response-request.ts'
import { accessErrors, bodyErrors, generationErrors, modelErrors, queryErrors } from '../error-codes.ts'
import type { Operation } from '../operation.ts'

const tag = 'Responses'
const responseId = { id: 'Id of a response' }
const conversationId = { id: 'Id of a conversation' }
const itemId = { ...conversationId, item: 'Id of an item in it' }
const list = { description: 'A page of items', json: itemListSchema }
const items = [{ role: 'user', content: 'Hello!' }]

/** What reads or refers to stored responses. */
const storeErrors = ['previous_response_not_found', 'conversation_not_found', 'item_not_found'] as const
const onResponse = [...accessErrors, ...queryErrors, 'response_not_found'] as const
const onConversation = [...accessErrors, 'conversation_not_found'] as const

export const responseOperations: readonly Operation[] = [
  {
    id: 'createResponse',
    method: 'post',
    paths: ['/v1/responses'],
    tag,
    summary: 'Makes a response',
    description: 'In one piece, or with `"stream": true` as named server-sent events. Responses are kept in memory unless `store` is false, and found by whoever made them.',
    body: { schemas: [responseRequestSchema], policies: responseParameterPolicies, example: { model: 'drawbridge-demo', input: 'Hello!' } },
    answers: { 200: { description: 'The response', json: responseSchema, events: responseEventSchema } },
    errors: [...generationErrors, ...storeErrors]
  },
  {
    id: 'countResponseInputTokens',
    method: 'post',
    paths: ['/v1/responses/input_tokens'],
    tag,
    summary: 'Counts the tokens of the prompt that a response would have',
    description: 'Takes all that a response takes. `model` may be left out when there is only one.',
    body: { schemas: [responseRequestSchema.partial({ model: true })], policies: responseParameterPolicies, example: { model: 'drawbridge-demo', input: 'Hello!' } },
    answers: { 200: { description: 'How many', json: inputTokensSchema } },
    errors: [...accessErrors, ...bodyErrors, ...modelErrors, ...storeErrors, 'unsupported_parameter', 'unsupported_value', 'chat_template_error']
  },
  {
    id: 'compactResponse',
    method: 'post',
    paths: ['/v1/responses/compact'],
    tag,
    summary: 'Refused: conversations are never shortened by this server',
    answers: {},
    errors: [...accessErrors, 'route_not_found']
  },
  {
    id: 'retrieveResponse',
    method: 'get',
    paths: ['/v1/responses/{id}'],
    tag,
    summary: 'A stored response',
    description: 'With `stream=true` the events of one that was made with `"background": true` and `"stream": true`, from any place.',
    pathParameters: responseId,
    query: responseQuerySchema,
    answers: { 200: { description: 'The response', json: responseSchema, events: responseEventSchema } },
    errors: onResponse
  },
  {
    id: 'deleteResponse',
    method: 'delete',
    paths: ['/v1/responses/{id}'],
    tag,
    summary: 'Deletes a stored response',
    description: 'One that is being made is cancelled first.',
    pathParameters: responseId,
    answers: { 200: { description: 'It is gone', json: deletedResponseSchema } },
    errors: [...accessErrors, 'response_not_found']
  },
  {
    id: 'cancelResponse',
    method: 'post',
    paths: ['/v1/responses/{id}/cancel'],
    tag,
    summary: 'Cancels a background response',
    pathParameters: responseId,
    answers: { 200: { description: 'The response as far as it came', json: responseSchema } },
    errors: [...accessErrors, 'invalid_value', 'response_not_found']
  },
  {
    id: 'listResponseInputItems',
    method: 'get',
    paths: ['/v1/responses/{id}/input_items'],
    tag,
    summary: 'What a response was given',
    pathParameters: responseId,
    query: listQuerySchema,
    answers: { 200: list },
    errors: [...onResponse, 'item_not_found']
  },
  {
    id: 'createConversation',
    method: 'post',
    paths: ['/v1/conversations'],
    tag,
    summary: 'Makes a conversation',
    body: { schemas: [createConversationSchema], isOptional: true, example: { items } },
    answers: { 200: { description: 'The conversation', json: conversationSchema } },
    errors: [...accessErrors, ...bodyErrors, 'unsupported_value', 'item_not_found', 'route_not_found']
  },
  {
    id: 'retrieveConversation',
    method: 'get',
    paths: ['/v1/conversations/{id}'],
    tag,
    summary: 'A conversation',
    pathParameters: conversationId,
    answers: { 200: { description: 'The conversation', json: conversationSchema } },
    errors: onConversation
  },
  {
    id: 'updateConversation',
    method: 'post',
    paths: ['/v1/conversations/{id}'],
    tag,
    summary: 'Sets the metadata of a conversation',
    pathParameters: conversationId,
    body: { schemas: [updateConversationSchema], example: { metadata: { topic: 'greetings' } } },
    answers: { 200: { description: 'The conversation', json: conversationSchema } },
    errors: [...onConversation, ...bodyErrors]
  },
  {
    id: 'deleteConversation',
    method: 'delete',
    paths: ['/v1/conversations/{id}'],
    tag,
    summary: 'Deletes a conversation',
    pathParameters: conversationId,
    answers: { 200: { description: 'It is gone', json: deletedConversationSchema } },
    errors: onConversation
  },
  {
    id: 'listConversationItems',
    method: 'get',
    paths: ['/v1/conversations/{id}/items'],
    tag,
    summary: 'The items of a conversation',
    pathParameters: conversationId,
    query: listQuerySchema,
    answers: { 200: list },
    errors: [...onConversation, ...queryErrors, 'item_not_found']
  },
  {
    id: 'createConversationItems',
    method: 'post',
    paths: ['/v1/conversations/{id}/items'],
    tag,
    summary: 'Adds items to a conversation',
    pathParameters: conversationId,
    body: { schemas: [createItemsSchema], example: { items } },
    answers: { 200: { description: 'The items that were added', json: itemListSchema } },
    errors: [...onConversation, ...bodyErrors, 'unsupported_value', 'item_not_found']
  },
  {
    id: 'retrieveConversationItem',
    method: 'get',
    paths: ['/v1/conversations/{id}/items/{item}'],
    tag,
    summary: 'One item of a conversation',
    pathParameters: itemId,
    answers: { 200: { description: 'The item', json: storedItemSchema } },
    errors: [...onConversation, 'item_not_found']
  },
  {
    id: 'deleteConversationItem',
    method: 'delete',
    paths: ['/v1/conversations/{id}/items/{item}'],
    tag,
    summary: 'Deletes an item of a conversation',
    pathParameters: itemId,
    answers: { 200: { description: 'The conversation', json: conversationSchema } },
    errors: [...onConversation, 'item_not_found']
  }
]
