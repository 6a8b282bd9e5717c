import type { TenantId } from '../../domain/ids.ts'
import type { ResponseItem } from './response-item.ts'
import type { ResponseStore, StoredConversation, StoredResponse } from './response-store.ts'
import { SharedStore, type SharedStoreOptions } from './shared-store.ts'

type Stored =
  | { readonly kind: 'response', readonly response: StoredResponse }
  | { readonly kind: 'conversation', readonly conversation: StoredConversation }

/** Keeps responses and conversations in memory, until the server ends. */
export class MemoryResponseStore implements ResponseStore {
  readonly #options: SharedStoreOptions
  readonly #objects: SharedStore<Stored>
  /** Items never change, and conversations grow item by item: each is measured once. */
  readonly #sizes = new WeakMap<ResponseItem, number>()

  /** @param options are looked at whenever something is kept; `maxBytes` is counted in characters of JSON; 0 keeps nothing */
  constructor (options: SharedStoreOptions) {
    this.#options = options
    this.#objects = new SharedStore(options)
  }

  get isOn (): boolean { return this.#options.maxBytes > 0 }

  findResponse (tenant: TenantId, id: string): StoredResponse | null {
    const found = this.#objects.get(tenant, id)
    return found?.kind === 'response' ? found.response : null
  }

  saveResponse (tenant: TenantId, response: StoredResponse): void {
    this.#objects.set(tenant, response.body.id, { kind: 'response', response }, this.#sizeOfResponse(response))
  }

  deleteResponse (tenant: TenantId, id: string): boolean {
    return this.findResponse(tenant, id) !== null && this.#objects.delete(tenant, id)
  }

  findConversation (tenant: TenantId, id: string): StoredConversation | null {
    const found = this.#objects.get(tenant, id)
    return found?.kind === 'conversation' ? found.conversation : null
  }

  saveConversation (tenant: TenantId, conversation: StoredConversation): boolean {
    const { items, ...others } = conversation
    return this.#objects.set(tenant, conversation.id, { kind: 'conversation', conversation }, JSON.stringify(others).length + this.#sizeOf(items))
  }

  deleteConversation (tenant: TenantId, id: string): boolean {
    return this.findConversation(tenant, id) !== null && this.#objects.delete(tenant, id)
  }

  findItems (tenant: TenantId, ids: ReadonlySet<string>): ReadonlyMap<string, ResponseItem> {
    const found = new Map<string, ResponseItem>()
    if (ids.size === 0) return found
    for (const stored of this.#objects.valuesOf(tenant)) {
      const items = stored.kind === 'conversation' ? stored.conversation.items : [...stored.response.input, ...stored.response.body.output]
      for (const item of items) {
        if (ids.has(item.id) && !found.has(item.id)) found.set(item.id, item)
      }
      if (found.size === ids.size) break
    }
    return found
  }

  sweep (): void {
    this.#objects.sweep()
  }

  #sizeOfResponse ({ body: { output, ...others }, input, events }: StoredResponse): number {
    const sizeOfEvents = events?.reduce((sum, event) => sum + event.length, 0) ?? 0
    return JSON.stringify(others).length + this.#sizeOf(input) + this.#sizeOf(output) + sizeOfEvents
  }

  #sizeOf (items: readonly ResponseItem[]): number {
    let sum = 0
    for (const item of items) {
      let size = this.#sizes.get(item)
      if (size === undefined) {
        size = JSON.stringify(item).length
        this.#sizes.set(item, size)
      }
      sum += size
    }
    return sum
  }
}
