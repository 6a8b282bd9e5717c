import { randomUUID } from 'node:crypto'
import type { OpenAI } from 'openai'
import { ServerError } from '../../domain/errors.ts'
import { findConversation, toConversationObject } from '../responses/find-conversation.ts'
import { resolveInput } from '../responses/resolve-input.ts'
import { saveConversation } from '../responses/save-conversation.ts'
import { createConversationSchema, updateConversationSchema } from '../schemas/conversation-requests.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import { refuseUnsupportedItems } from '../schemas/refuse-unsupported-items.ts'
import type { Route } from '../services.ts'

interface ById { Params: { id: string } }

/** `POST /v1/conversations`, `GET`, `POST` and `DELETE /v1/conversations/{id}` */
export const conversationsRoute: Route = (app, services) => {
  const { responseStore } = services
  app.post('/v1/conversations', async (request) => {
    if (!responseStore.isOn) throw new ServerError('route_not_found', 'This server keeps no conversations (--response-store off)')
    const { caller: { tenant } } = request.requestContext
    // OpenAI's client sends no body when it has nothing to say.
    const raw = request.body ?? {}
    if (typeof raw === 'object' && 'items' in raw) refuseUnsupportedItems(raw.items, 'items')
    const { items, metadata } = parseRequest(createConversationSchema, raw)
    const conversation = {
      id: `conv_${randomUUID().replaceAll('-', '')}`,
      createdAt: Math.floor(Date.now() / 1000),
      metadata,
      items: resolveInput(items, [], 'items', tenant, responseStore)
    }
    saveConversation(tenant, conversation, 'items', services)
    return toConversationObject(conversation)
  })

  app.get<ById>('/v1/conversations/:id', async (request) =>
    toConversationObject(findConversation(request.requestContext.caller.tenant, request.params.id, responseStore)))

  app.post<ById>('/v1/conversations/:id', async (request) => {
    const { caller: { tenant } } = request.requestContext
    const { metadata } = parseRequest(updateConversationSchema, request.body)
    const conversation = { ...findConversation(tenant, request.params.id, responseStore), metadata }
    saveConversation(tenant, conversation, 'metadata', services)
    return toConversationObject(conversation)
  })

  app.delete<ById>('/v1/conversations/:id', async (request) => {
    const { caller: { tenant } } = request.requestContext
    const { id } = findConversation(tenant, request.params.id, responseStore)
    responseStore.deleteConversation(tenant, id)
    return { id, object: 'conversation.deleted', deleted: true } satisfies OpenAI.Conversations.ConversationDeletedResource
  })
}
