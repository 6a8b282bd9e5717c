import { createHash, timingSafeEqual } from 'node:crypto'
import type { Priority } from '../domain/priority.ts'
import type { Limits } from '../domain/limits.ts'
import type { NamePatterns } from './name-patterns.ts'
import type { Scope } from '../domain/scopes.ts'

/** A tenant that has keys which were given at the start. */
export interface KeyOwner {
  readonly name: string
  readonly keys: readonly string[]
  readonly weight: number
  readonly priority: Priority
  readonly highestPriority: Priority
  /** Whether its requests may name the user who is charged. */
  readonly namesUsers: boolean
  readonly scopes: readonly Scope[]
  /** Models and adapters that it may use. */
  readonly models: NamePatterns
  readonly adapters: NamePatterns
  /** Of all its keys together. */
  readonly limits: Limits
}

export interface StaticKeys {
  readonly count: number
  readonly owners: readonly KeyOwner[]
  find (key: string): KeyOwner | null
  findOwner (name: string): KeyOwner | null
}

/** What the keys of those who are no admins may be used for. */
export const plainScopes: readonly Scope[] = ['inference', 'models', 'metrics']

const digestOf = (key: string): Buffer => createHash('sha256').update(key, 'utf8').digest()

/**
 * Keys that were given at the start. The digests of all of them are compared in constant time, so that timing tells no key.
 *
 * @param keys each is a tenant of its own, called after its digest.
 * @param adminKeys tenants of their own as well.
 */
export function createStaticKeys (keys: readonly string[], owners: readonly KeyOwner[] = [], adminKeys: readonly string[] = []): StaticKeys {
  const ownerOf = (isAdmin: boolean) => (key: string): KeyOwner => ({
    name: `key_${digestOf(key).toString('hex').slice(0, 12)}`, keys: [key], weight: 1, priority: 'normal', highestPriority: 'normal', namesUsers: false, scopes: isAdmin ? ['admin'] : plainScopes, models: null, adapters: null, limits: {}
  })
  const known = [...keys.filter((key) => !adminKeys.includes(key)).map(ownerOf(false)), ...adminKeys.map(ownerOf(true)), ...owners].flatMap((owner) => owner.keys.map((key) => ({ digest: digestOf(key), owner })))
  return {
    count: known.length,
    owners: [...new Set(known.map(({ owner }) => owner))],
    find (key) {
      const digest = digestOf(key)
      let owner: KeyOwner | null = null
      for (const candidate of known) {
        if (timingSafeEqual(candidate.digest, digest)) owner = candidate.owner
      }
      return owner
    },
    findOwner: (name) => known.find(({ owner }) => owner.name === name)?.owner ?? null
  }
}
