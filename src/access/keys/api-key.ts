import { z } from 'zod'
import { priorities } from '../../domain/priority.ts'
import { limitsSchema } from '../../domain/limits.ts'
import { scopes } from '../../domain/scopes.ts'

const patternsSchema = z.array(z.string().min(1).max(256)).min(1).max(100).nullable().default(null)

/** What is decided when a key is made. */
export const newKeySchema = z.strictObject({
  /** Who is charged; keys of one owner are one tenant. */
  owner: z.string().regex(/^[\w.@+-]{1,64}$/, 'expected 1 to 64 letters, digits, dots, dashes, underscores, plus or at signs'),
  /** For people. */
  name: z.string().max(128).regex(/^[^\p{Cc}]*$/u, 'expected a text without control characters').default(''),
  scopes: z.array(z.enum(scopes)).min(1).max(scopes.length).default(['inference']),
  /** Patterns of the models and adapters that it may use; null is all. */
  models: patternsSchema,
  adapters: patternsSchema,
  /** Share of the service relative to other tenants'. */
  weight: z.number().min(0.01).max(100).default(1),
  /** The class of its requests that do not say, and the most urgent that they may ask for. */
  priority: z.enum(priorities).default('normal'),
  highestPriority: z.enum(priorities).default('normal'),
  /** Whether a header of its requests may name the user who is charged. */
  namesUsers: z.boolean().default(false),
  /** Milliseconds since 1970; null is never. */
  expiresAt: z.int().min(0).nullable().default(null),
  /** Of this key; those of its owner hold besides. */
  limits: limitsSchema.default({})
})

export type NewKey = Readonly<z.output<typeof newKeySchema>>

/** A key without its secret. Times are milliseconds since 1970. */
export interface ApiKey extends NewKey {
  readonly id: string
  readonly createdAt: number
  readonly revokedAt: number | null
  /** True to the minute. */
  readonly lastUsedAt: number | null
  /** The id of the key that it was rotated to. */
  readonly replacedBy: string | null
  /** The first of those that were rotated one into the other, whose limits they share; null where it is this one. */
  readonly firstId: string | null
}

export type KeyState = 'active' | 'expired' | 'revoked'

/** @param now milliseconds since 1970 */
export function stateOfKey ({ revokedAt, expiresAt, replacedBy }: Pick<ApiKey, 'revokedAt' | 'expiresAt' | 'replacedBy'>, now: number): KeyState {
  // Only a rotated key has its end ahead of it. For others a clock that is behind that of whoever revoked them does not matter.
  if (revokedAt !== null && (replacedBy === null || revokedAt <= now)) return 'revoked'
  return expiresAt !== null && expiresAt <= now ? 'expired' : 'active'
}
