import { createHash, timingSafeEqual } from 'node:crypto'
import { isLoopback } from '../config/check-config.ts'
import { asTenantId } from '../domain/ids.ts'
import { ServerError } from '../domain/errors.ts'
import type { Priority } from '../domain/priority.ts'
import type { Caller } from './caller.ts'

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

/** A tenant that has keys. */
export interface KeyOwner {
  readonly name: string
  readonly keys: readonly string[]
  readonly weight: number
  readonly priority: Priority
  readonly highestPriority: Priority
  /** Whether its requests may name the user who is charged. */
  readonly namesUsers: boolean
  readonly isAdmin: boolean
}

export interface Access {
  /** @throws ServerError `invalid_api_key`, or `invalid_value` for a user's name that is none. */
  identify (credentials: Credentials): Caller
  /** How somebody gets to be an admin, as the end of a sentence. */
  readonly adminAdvice: string
}

/** Gateways of the llm-d family name the flow that a request belongs to with it. */
export const userHeader = 'x-llm-d-inference-fairness-id'

const digestOf = (key: string): Buffer => createHash('sha256').update(key, 'utf8').digest()

/** `Bearer <key>`; the scheme's case does not matter. */
const bearerPattern = /^bearer[ \t]+(\S+)[ \t]*$/i

/** Longest name of a user. */
const longestUser = 256

/**
 * Keys that were given at the start. The digests of all of them are compared in constant time, so that timing tells no key.
 *
 * @param keys each is a tenant of its own, called after its digest.
 * @param owners with no keys at all, everybody may come in; each address is a tenant, and is trusted with any class. Admin is then whoever
 * is on this machine.
 * @param adminKeys tenants of their own as well.
 */
export function createStaticKeys (keys: readonly string[], owners: readonly KeyOwner[] = [], adminKeys: readonly string[] = []): Access {
  const ownerOf = (isAdmin: boolean) => (key: string): KeyOwner => ({
    name: `key_${digestOf(key).toString('hex').slice(0, 12)}`, keys: [key], weight: 1, priority: 'normal', highestPriority: 'normal', namesUsers: false, isAdmin
  })
  const known = [...keys.filter((key) => !adminKeys.includes(key)).map(ownerOf(false)), ...adminKeys.map(ownerOf(true)), ...owners].flatMap((owner) => owner.keys.map((key) => ({ digest: digestOf(key), owner })))

  function find (key: string): KeyOwner | null {
    const digest = digestOf(key)
    let owner: KeyOwner | null = null
    for (const candidate of known) {
      if (timingSafeEqual(candidate.digest, digest)) owner = candidate.owner
    }
    return owner
  }

  return {
    adminAdvice: known.length === 0
      ? 'without API keys, only programs on this machine may, and not through a proxy; --admin-key lets others'
      : 'the key is not one of --admin-key, nor of a tenant with "admin: true"',

    identify ({ authorization, xApiKey, address, isDirect, user }) {
      if (known.length === 0) {
        const isAdmin = isDirect && isLoopback(address.replace(/^::ffff:/i, ''))
        return { tenant: asTenantId(address), weight: 1, priority: 'normal', highestPriority: 'interactive', isAdmin }
      }
      const key = bearerPattern.exec(authorization ?? '')?.[1] ?? xApiKey
      if (key === undefined || key === '') {
        throw new ServerError('invalid_api_key', 'You did not provide an API key. Send it in the Authorization header (Authorization: Bearer YOUR_KEY).')
      }
      const owner = find(key)
      if (owner === null) throw new ServerError('invalid_api_key', 'Incorrect API key provided. Ask the operator of this server for a key.')
      const { name, weight, priority, highestPriority, namesUsers, isAdmin } = owner
      const tenant = namesUsers && user !== undefined && user !== '' ? `${name}/${checkUser(user)}` : name
      return { tenant: asTenantId(tenant), weight, priority, highestPriority, isAdmin }
    }
  }
}

function checkUser (user: string): string {
  if (user.length <= longestUser && /^[\x20-\x7E]+$/.test(user)) return user
  throw new ServerError('invalid_value', `${userHeader} must be 1 to ${longestUser} printable ASCII characters`, { param: userHeader })
}
