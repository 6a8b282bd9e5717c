import type { KeyRing } from './key-ring.ts'
import type { KeyAdministration, KeyStore } from './key-store.ts'

/** The keys of a running server: what is done to them it sees at once. */
export interface ManagedKeys extends KeyAdministration, Pick<KeyStore, 'get'> {}

export function createManagedKeys (store: KeyStore, ring: Pick<KeyRing, 'forget'>): ManagedKeys {
  const thenForget = async <Value>(change: Promise<Value>): Promise<Value> => await change.finally(() => ring.forget())
  return {
    get: async (id) => await store.get(id),
    list: async (owner) => await store.list(owner),
    create: async (wish) => await thenForget(store.create(wish)),
    rotate: async (id, overlapMs) => await thenForget(store.rotate(id, overlapMs)),
    revoke: async (id) => await thenForget(store.revoke(id))
  }
}
