import type { TenantId } from '../../domain/ids.ts'
import type { ResponseBody } from './response-body.ts'
import type { ResponseItem } from './response-item.ts'

export interface StoredResponse {
  readonly body: ResponseBody
  /** The items of its own request, without those that came before it. */
  readonly input: readonly ResponseItem[]
  /** The stream's events in order; null where nobody may ask for them again. */
  readonly events: readonly string[] | null
}

export interface StoredConversation {
  readonly id: string
  /** Seconds since 1970. */
  readonly createdAt: number
  readonly metadata: Readonly<Record<string, string>>
  readonly items: readonly ResponseItem[]
}

/**
 * Keeps responses and conversations for those who made them; nobody else finds them. What it has no room for is gone
 * without notice, least recently used first. Calls do not wait, so that a client finds a response as soon as it has heard
 * of its end.
 */
export interface ResponseStore {
  /** Whether it keeps anything. */
  readonly isOn: boolean
  findResponse (tenant: TenantId, id: string): StoredResponse | null
  saveResponse (tenant: TenantId, response: StoredResponse): void
  /** Whether there was one. */
  deleteResponse (tenant: TenantId, id: string): boolean
  findConversation (tenant: TenantId, id: string): StoredConversation | null
  /** Makes or replaces it; false when it alone has no room, and then nothing has changed. */
  saveConversation (tenant: TenantId, conversation: StoredConversation): boolean
  deleteConversation (tenant: TenantId, id: string): boolean
  /** Those of the items that are part of anything which is stored, by their ids. */
  findItems (tenant: TenantId, ids: ReadonlySet<string>): ReadonlyMap<string, ResponseItem>
  /** Drops what has not been used for too long. */
  sweep (): void
}
