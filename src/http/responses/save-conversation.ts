import { ServerError } from '../../domain/errors.ts'
import type { TenantId } from '../../domain/ids.ts'
import type { HttpServices } from '../services.ts'
import { checkLength } from './check-length.ts'
import type { StoredConversation } from './response-store.ts'

/**
 * Keeps what a client has made of a conversation.
 * @param param what made it as large as it is
 * @throws ServerError when it is too large to go on from or to be kept; what was kept of it stays
 */
export function saveConversation (
  tenant: TenantId, conversation: StoredConversation, param: string, { config, responseStore }: Pick<HttpServices, 'config' | 'responseStore'>
): void {
  checkLength(conversation.items, config.bodyLimit, param)
  if (responseStore.saveConversation(tenant, conversation)) return
  throw new ServerError('invalid_value', `Invalid value for '${param}': with it the conversation is larger than all that this server keeps (--response-store)`, { param })
}
