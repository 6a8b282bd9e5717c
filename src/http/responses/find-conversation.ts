import type { OpenAI } from 'openai'
import { ServerError } from '../../domain/errors.ts'
import type { TenantId } from '../../domain/ids.ts'
import type { ResponseStore, StoredConversation } from './response-store.ts'

/** @throws ServerError `conversation_not_found` */
export function findConversation (tenant: TenantId, id: string, store: ResponseStore): StoredConversation {
  const found = store.findConversation(tenant, id)
  if (found === null) {
    throw new ServerError('conversation_not_found', `Conversation with id '${id.slice(0, 128)}' not found: it was never made, or is no longer stored`, { param: 'id' })
  }
  return found
}

export const toConversationObject = ({ id, createdAt, metadata }: StoredConversation) => ({
  id, object: 'conversation', created_at: createdAt, metadata
} satisfies OpenAI.Conversations.Conversation)
