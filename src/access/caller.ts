import type { TenantId } from '../domain/ids.ts'
import type { Priority } from '../domain/priority.ts'
import type { SubjectLimits } from './limits/subjects.ts'
import type { NamePatterns } from './name-patterns.ts'
import type { Scope } from '../domain/scopes.ts'

/** Who asks, what they may do, and what that means for the order of service. */
export interface Caller {
  /** Whose the key is; the network address where there are no keys. */
  readonly owner: string
  /** Who is charged: the owner, or a user whom a gateway's key has named. */
  readonly tenant: TenantId
  /** The id of the key in the database; null for static keys, and where none is needed. */
  readonly keyId: string | null
  /** Whether there are no keys, so that everybody may come in. */
  readonly isAnonymous: boolean
  readonly scopes: readonly Scope[]
  /** Models and adapters that it may use. */
  readonly models: NamePatterns
  readonly adapters: NamePatterns
  /** Share of the service relative to other tenants'. */
  readonly weight: number
  /** Of requests that do not say. */
  readonly priority: Priority
  /** The most urgent class that a request may ask for. */
  readonly highestPriority: Priority
  /** Whose budgets its requests are on, with the limits of each: of the key, and of its owner with all its keys. Nobody's where there are no keys. */
  readonly limits: readonly SubjectLimits[]
  /** Whether its requests are made when there is time, as those of batches: minutes and what else runs do not limit them. False where it is absent. */
  readonly isBatch?: boolean
}

/** What is kept of a caller whose work goes on after the request. */
export type CallerIdentity = Pick<Caller, 'owner' | 'tenant' | 'keyId' | 'isAnonymous'>
