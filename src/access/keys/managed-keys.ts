import type { KeyRing } from './key-ring.ts'
import type { Limits, LimitsChange } from '../../domain/limits.ts'
import type { OwnerLimits } from '../limits/owner-limits.ts'
import type { KeyAdministration, KeyStore } from './key-store.ts'

/** The keys of a running server: what is done to them it sees at once. */
export interface ManagedKeys extends KeyAdministration, Pick<KeyStore, 'get'> {
  /** The limits that all keys of an owner share. */
  limitsOf (owner: string): Promise<Limits>
  limitOwner (owner: string, change: LimitsChange): Promise<Limits>
}

export function createManagedKeys (store: KeyStore, owners: OwnerLimits, ring: Pick<KeyRing, 'forget'>): ManagedKeys {
  const thenForget = async <Value>(change: Promise<Value>): Promise<Value> => await change.finally(() => ring.forget())
  return {
    get: async (id) => await store.get(id),
    list: async (owner, page) => await store.list(owner, page),
    update: async (id, change) => await thenForget(store.update(id, change)),
    limitsOf: async (owner) => await owners.get(owner),
    limitOwner: async (owner, change) => await thenForget(owners.change(owner, change)),
    create: async (wish) => await thenForget(store.create(wish)),
    rotate: async (id, overlapMs) => await thenForget(store.rotate(id, overlapMs)),
    revoke: async (id) => await thenForget(store.revoke(id))
  }
}
