import { ServerError } from '../../domain/errors.ts'
import type { TenantId } from '../../domain/ids.ts'
import type { ItemDraft } from '../schemas/response-items.ts'
import { createItemId } from './item-id.ts'
import { readPortableReasoning } from './portable-reasoning.ts'
import type { ResponseItem } from './response-item.ts'
import type { ResponseStore } from './response-store.ts'

/**
 * The items of a request as they are kept: references replaced by what they name, every item with an id of its own.
 *
 * @param before what the conversation holds before them
 * @param name of the parameter that holds the items
 * @throws ServerError `item_not_found` for a reference to what is not stored, `invalid_value` for an output without its call and for
 * reasoning that cannot be read
 */
export function resolveInput (
  drafts: readonly ItemDraft[], before: readonly ResponseItem[], name: string, tenant: TenantId, store: ResponseStore
): ResponseItem[] {
  const stored = store.findItems(tenant, new Set(drafts.flatMap((draft) => draft.type === 'item_reference' ? [draft.id] : [])))
  const calls = new Set(before.flatMap((item) => item.type === 'function_call' ? [item.call_id] : []))
  const items: ResponseItem[] = []
  for (const [index, draft] of drafts.entries()) {
    const path = `${name}[${index}]`
    const item = draft.type === 'item_reference' ? stored.get(draft.id) : { ...draft, id: draft.id ?? createItemId(draft.type) }
    if (item === undefined) {
      throw new ServerError('item_not_found', `Item with id '${draft.id}' not found: it was never stored, or is no longer`, { param: `${path}.id` })
    }
    if (item.type === 'function_call') calls.add(item.call_id)
    if (item.type === 'function_call_output' && !calls.has(item.call_id)) {
      throw new ServerError('invalid_value', `No tool call found for function call output with call_id ${JSON.stringify(item.call_id).slice(0, 64)}: no item before it is that call`, { param: `${path}.call_id` })
    }
    if (item.type === 'reasoning') checkReasoning(item, path)
    items.push(item)
  }
  return withOwnIds(items, before)
}

/** The items, each with an id that no other has: lists are read page by page, each from the item after the last one's id. */
export function withOwnIds (items: readonly ResponseItem[], before: readonly ResponseItem[]): ResponseItem[] {
  const usedIds = new Set(before.map(({ id }) => id))
  return items.map((item) => {
    const own = usedIds.has(item.id) ? { ...item, id: createItemId(item.type) } : item
    usedIds.add(own.id)
    return own
  })
}

function checkReasoning ({ content, summary, encrypted_content: encrypted }: Extract<ResponseItem, { type: 'reasoning' }>, path: string): void {
  if (encrypted === null || content.length > 0 || summary.length > 0 || readPortableReasoning(encrypted) !== null) return
  throw new ServerError('invalid_value', `Invalid value for '${path}.encrypted_content': another server has written it, so it cannot be read; leave the item out`, { param: `${path}.encrypted_content` })
}
