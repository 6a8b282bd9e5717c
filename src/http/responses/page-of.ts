import type { OpenAI } from 'openai'
import { ServerError } from '../../domain/errors.ts'
import type { ListQuery } from '../schemas/list-query.ts'
import type { ResponseItem } from './response-item.ts'

/**
 * A page of items, as OpenAI's lists are read.
 * @throws ServerError `item_not_found` when the item before the page is none of them
 */
export function pageOf (items: readonly ResponseItem[], { limit, order, after }: ListQuery) {
  const ordered = order === 'asc' ? [...items] : [...items].reverse()
  const before = after === undefined ? -1 : ordered.findIndex(({ id }) => id === after)
  if (after !== undefined && before === -1) {
    throw new ServerError('item_not_found', `Item with id '${after}' not found in this list`, { param: 'after' })
  }
  return toItemList(ordered.slice(before + 1, before + 1 + limit), before + 1 + limit < ordered.length)
}

export const toItemList = (data: ResponseItem[], hasMore: boolean) => ({
  object: 'list' as const,
  data: data satisfies OpenAI.Responses.ResponseItem[] & OpenAI.Conversations.ConversationItem[],
  first_id: data[0]?.id ?? null,
  last_id: data.at(-1)?.id ?? null,
  has_more: hasMore
})
