import { type ApiKey, stateOfKey } from '../access/keys/api-key.ts'
import { toApiLimits } from './schemas/limits.ts'
import { prefixOf } from '../access/keys/secret-key.ts'

const seconds = (milliseconds: number | null): number | null => milliseconds === null ? null : Math.floor(milliseconds / 1000)

/** @param now milliseconds since 1970 */
export const toKeyObject = (key: ApiKey, now: number) => ({
  object: 'key',
  id: key.id,
  prefix: prefixOf(key.id),
  owner: key.owner,
  name: key.name,
  state: stateOfKey(key, now),
  scopes: key.scopes,
  models: key.models,
  adapters: key.adapters,
  weight: key.weight,
  priority: key.priority,
  highest_priority: key.highestPriority,
  names_users: key.namesUsers,
  limits: toApiLimits(key.limits),
  created_at: seconds(key.createdAt),
  expires_at: seconds(key.expiresAt),
  revoked_at: seconds(key.revokedAt),
  last_used_at: seconds(key.lastUsedAt),
  replaced_by: key.replacedBy
})
