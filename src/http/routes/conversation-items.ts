import { ServerError } from '../../domain/errors.ts'
import { findConversation, toConversationObject } from '../responses/find-conversation.ts'
import { pageOf, toItemList } from '../responses/page-of.ts'
import { resolveInput } from '../responses/resolve-input.ts'
import { saveConversation } from '../responses/save-conversation.ts'
import { createItemsSchema } from '../schemas/conversation-requests.ts'
import { listQuerySchema } from '../schemas/list-query.ts'
import { parseRequest } from '../schemas/parse-request.ts'
import { refuseUnsupportedItems } from '../schemas/refuse-unsupported-items.ts'
import type { Route } from '../services.ts'

interface ById { Params: { id: string } }
interface ByItem { Params: { id: string, item: string } }

/** `GET` and `POST /v1/conversations/{id}/items`, `GET` and `DELETE /v1/conversations/{id}/items/{item}` */
export const conversationItemsRoute: Route = (app, services) => {
  const { responseStore } = services

  app.get<ById>('/v1/conversations/:id/items', async (request) => {
    const query = parseRequest(listQuerySchema, request.query)
    return pageOf(findConversation(request.requestContext.caller.tenant, request.params.id, responseStore).items, query)
  })

  app.post<ById>('/v1/conversations/:id/items', async (request) => {
    const { caller: { tenant } } = request.requestContext
    const conversation = findConversation(tenant, request.params.id, responseStore)
    const { body } = request
    if (typeof body === 'object' && body !== null && 'items' in body) refuseUnsupportedItems(body.items, 'items')
    const items = resolveInput(parseRequest(createItemsSchema, body).items, conversation.items, 'items', tenant, responseStore)
    saveConversation(tenant, { ...conversation, items: [...conversation.items, ...items] }, 'items', services)
    return toItemList(items, false)
  })

  app.get<ByItem>('/v1/conversations/:id/items/:item', async (request) => {
    const { items } = findConversation(request.requestContext.caller.tenant, request.params.id, responseStore)
    const item = items.find(({ id }) => id === request.params.item)
    if (item === undefined) throw notFound(request.params.item)
    return item
  })

  app.delete<ByItem>('/v1/conversations/:id/items/:item', async (request) => {
    const { caller: { tenant } } = request.requestContext
    const conversation = findConversation(tenant, request.params.id, responseStore)
    const items = conversation.items.filter(({ id }) => id !== request.params.item)
    if (items.length === conversation.items.length) throw notFound(request.params.item)
    responseStore.saveConversation(tenant, { ...conversation, items })
    return toConversationObject(conversation)
  })
}

const notFound = (id: string): ServerError => new ServerError('item_not_found', `Item with id '${id.slice(0, 128)}' not found in this conversation`, { param: 'item' })
