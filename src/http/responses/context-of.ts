import { ServerError } from '../../domain/errors.ts'
import type { TenantId } from '../../domain/ids.ts'
import type { ResponseRequest } from '../schemas/response-request.ts'
import type { ResponseItem } from './response-item.ts'
import type { ResponseStore, StoredResponse } from './response-store.ts'

type Context = Pick<ResponseRequest, 'previous_response_id' | 'conversation'>

/**
 * The items that come before those of a request. Instructions of earlier responses are none of them.
 * @throws ServerError `previous_response_not_found` or `conversation_not_found` when something of it is not stored, or no longer
 */
export function contextOf ({ previous_response_id: previousId, conversation }: Context, tenant: TenantId, store: ResponseStore): ResponseItem[] {
  if (conversation !== undefined) {
    const found = store.findConversation(tenant, conversation.id)
    if (found === null) throw new ServerError('conversation_not_found', `Conversation with id '${conversation.id}' not found`, { param: 'conversation' })
    return [...found.items]
  }
  const turns: (readonly ResponseItem[])[] = []
  for (let id = previousId ?? null; id !== null;) {
    const found = store.findResponse(tenant, id)
    if (found === null) {
      const which = id === previousId ? '' : `, which '${previousId}' goes back to,`
      throw new ServerError('previous_response_not_found', `Previous response with id '${id}'${which} not found: it was never stored, is no longer, or has not ended`, { param: 'previous_response_id' })
    }
    turns.push(found.body.output, found.input)
    if (found.body.conversation != null) {
      turns.push(beforeResponse(found, found.body.conversation.id, tenant, store))
      break
    }
    id = found.body.previous_response_id ?? null
  }
  return turns.reverse().flat()
}

/** What a conversation held when a response was made in it. */
function beforeResponse ({ body, input }: StoredResponse, conversationId: string, tenant: TenantId, store: ResponseStore): readonly ResponseItem[] {
  const items = store.findConversation(tenant, conversationId)?.items ?? []
  const own = new Set([...input, ...body.output].map(({ id }) => id))
  const begin = items.findIndex(({ id }) => own.has(id))
  if (begin !== -1) return items.slice(0, begin)
  throw new ServerError('previous_response_not_found', `The conversation '${conversationId}' that '${body.id}' is a part of not found: it was deleted, or is no longer stored`, { param: 'previous_response_id' })
}
