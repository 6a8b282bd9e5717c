import { isLoopback } from '../config/check-config.ts'
import { ServerError } from '../domain/errors.ts'
import { asTenantId } from '../domain/ids.ts'
import type { Priority } from '../domain/priority.ts'
import type { Caller, CallerIdentity } from './caller.ts'
import type { KeyRing } from './keys/key-ring.ts'
import type { FoundKey } from './keys/key-store.ts'
import { ownerSubject, type SubjectLimits } from './limits/subjects.ts'
import { effectiveLimits, type Limits } from '../domain/limits.ts'
import { type KeyOwner, plainScopes, type StaticKeys } from './static-keys.ts'
import { subjectsOfKey } from './subjects-of-key.ts'

/** What a client sends to say who it is. */
export interface Credentials {
  readonly authorization: string | undefined
  readonly xApiKey: string | undefined
  /** The client's network address: who is charged when there are no keys. */
  readonly address: string
  /** Whether the address is that of whoever asks: neither a proxy nor a web page of somebody else's speaks for them. */
  readonly isDirect: boolean
  /** A user of the key's owner, named by `x-llm-d-inference-fairness-id`. */
  readonly user: string | undefined
}

export interface Access {
  /** @throws ServerError `invalid_api_key`, `storage_unavailable`, or `invalid_value` for a user's name that is none. */
  identify (credentials: Credentials): Promise<Caller>
  /**
   * Whoever has left work behind, with the rights that they have now. A key that was rotated stands for its successor.
   * @throws ServerError `invalid_api_key` when the key is no longer in use, or when there are keys now and there were none; `storage_unavailable`
   */
  recall (identity: CallerIdentity): Promise<Caller>
  /** The owners of static keys. */
  configured (): readonly Pick<Caller, 'owner' | 'keyId' | 'limits'>[]
}

/** Gateways of the llm-d family name the flow that a request belongs to with it. */
export const userHeader = 'x-llm-d-inference-fairness-id'

/** `Bearer <key>`; the scheme's case does not matter. */
const bearerPattern = /^bearer[ \t]+(\S+)[ \t]*$/i

/** Longest name of a user. */
const longestUser = 256

/** Far longer than any key. */
const longestKey = 4096

/**
 * Knows callers by their keys: those given at the start, and those in the database. With no keys at all everybody may come in; each address is
 * a tenant and is trusted with any class, and whoever is on this machine may change adapters.
 *
 * @param keyRing null where there is no database
 * @param defaultLimits of every key of the database without its own, and of every owner of static keys
 */
export function createAccess (staticKeys: StaticKeys, keyRing: Pick<KeyRing, 'find' | 'findSuccessor' | 'hasAny'> | null, defaultLimits: () => Limits = () => ({})): Access {
  const isOpen = async (): Promise<boolean> => staticKeys.count === 0 && await keyRing?.hasAny() !== true
  const limitsOf = ({ name, limits }: KeyOwner): readonly SubjectLimits[] => [{ subject: ownerSubject(name), limits: effectiveLimits(limits, defaultLimits()) }]

  const ofOwner = (owner: KeyOwner, tenant: Caller['tenant']): Caller => {
    const { name, scopes, models, adapters, weight, priority, highestPriority } = owner
    return { owner: name, tenant, keyId: null, isAnonymous: false, scopes, models, adapters, weight, priority, highestPriority, limits: limitsOf(owner) }
  }

  const ofKey = (key: FoundKey, tenant: Caller['tenant']): Caller => {
    const { id, owner, scopes, models, adapters, weight, priority, highestPriority } = key
    return { owner, tenant, keyId: id, isAnonymous: false, scopes, models, adapters, weight, priority, highestPriority, limits: subjectsOfKey(key, defaultLimits()) }
  }

  async function findCaller (key: string, user: string | undefined): Promise<Caller | null> {
    const owner = staticKeys.find(key)
    if (owner !== null) return ofOwner(owner, tenantOf(owner.name, owner.namesUsers, user))
    const found = await keyRing?.find(key) ?? null
    return found === null ? null : ofKey(found, tenantOf(found.owner, found.namesUsers, user))
  }

  return {
    configured: () => staticKeys.owners.map((owner) => ({ owner: owner.name, keyId: null, limits: limitsOf(owner) })),
    async identify ({ authorization, xApiKey, address, isDirect, user }) {
      if (await isOpen()) return anonymous(address, isDirect)
      const key = bearerPattern.exec(authorization ?? '')?.[1] ?? xApiKey
      if (key === undefined || key === '') {
        throw new ServerError('invalid_api_key', 'You did not provide an API key. Send it in the Authorization header (Authorization: Bearer YOUR_KEY).')
      }
      const caller = key.length > longestKey ? null : await findCaller(key, user)
      if (caller === null) throw new ServerError('invalid_api_key', 'Incorrect API key provided. Ask the operator of this server for a key.')
      return caller
    },

    async recall ({ owner, tenant, keyId, isAnonymous }) {
      if (isAnonymous) {
        if (await isOpen()) return anonymous(owner, false)
        throw new ServerError('invalid_api_key', 'This server takes API keys now, and the work was left without one')
      }
      if (keyId !== null) {
        const key = await keyRing?.findSuccessor(keyId) ?? null
        if (key !== null) return ofKey(key, tenant)
      } else {
        const found = staticKeys.findOwner(owner)
        if (found !== null) return ofOwner(found, tenant)
      }
      throw new ServerError('invalid_api_key', 'The API key that the work was left with is no longer known')
    }
  }
}

function anonymous (address: string, isDirect: boolean): Caller {
  const isHere = isDirect && isLoopback(address.replace(/^::ffff:/i, ''))
  const priorities: { readonly priority: Priority, readonly highestPriority: Priority } = { priority: 'normal', highestPriority: 'interactive' }
  return {
    owner: address, tenant: asTenantId(address), keyId: null, isAnonymous: true, scopes: isHere ? [...plainScopes, 'adapters'] : plainScopes, models: null, adapters: null, weight: 1, ...priorities, limits: []
  }
}

const tenantOf = (owner: string, namesUsers: boolean, user: string | undefined): Caller['tenant'] =>
  asTenantId(namesUsers && user !== undefined && user !== '' ? `${owner}/${checkUser(user)}` : owner)

function checkUser (user: string): string {
  if (user.length <= longestUser && /^[\x20-\x7E]+$/.test(user)) return user
  throw new ServerError('invalid_value', `${userHeader} must be 1 to ${longestUser} printable ASCII characters`, { param: userHeader })
}
