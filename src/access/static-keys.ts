import { createHash, timingSafeEqual } from 'node:crypto'
import type { TenantId } from '../domain/ids.ts'
import { asTenantId } from '../domain/ids.ts'
import { ServerError } from '../domain/errors.ts'

/** What a client sends to say who it is. */
export interface Credentials {
  readonly authorization: string | undefined
  readonly xApiKey: string | undefined
  /** The client's network address: who is charged when there are no keys. */
  readonly address: string
}

export interface Access {
  /** @throws ServerError `invalid_api_key` */
  identify (credentials: Credentials): TenantId
}

const digestOf = (key: string): Buffer => createHash('sha256').update(key, 'utf8').digest()

/** `Bearer <key>`; the scheme's case does not matter. */
const bearerPattern = /^bearer[ \t]+(\S+)[ \t]*$/i

/**
 * Keys that were given at the start. The digests of all of them are compared in constant time, so that timing tells no key.
 *
 * @param keys none means that everybody may come in
 */
export function createStaticKeys (keys: readonly string[]): Access {
  const known = keys.map((key) => {
    const digest = digestOf(key)
    return { digest, tenant: asTenantId(`key_${digest.toString('hex').slice(0, 12)}`) }
  })

  function find (key: string): TenantId | null {
    const digest = digestOf(key)
    let tenant: TenantId | null = null
    for (const candidate of known) {
      if (timingSafeEqual(candidate.digest, digest)) tenant = candidate.tenant
    }
    return tenant
  }

  return {
    identify ({ authorization, xApiKey, address }) {
      if (known.length === 0) return asTenantId(address)
      const key = bearerPattern.exec(authorization ?? '')?.[1] ?? xApiKey
      if (key === undefined || key === '') {
        throw new ServerError('invalid_api_key', 'You did not provide an API key. Send it in the Authorization header (Authorization: Bearer YOUR_KEY).')
      }
      const tenant = find(key)
      if (tenant === null) throw new ServerError('invalid_api_key', 'Incorrect API key provided. Ask the operator of this server for a key.')
      return tenant
    }
  }
}
