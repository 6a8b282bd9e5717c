import type { TenantId } from '../domain/ids.ts'
import type { Priority } from '../domain/priority.ts'

/** Who asks, and what that means for the order of service. */
export interface Caller {
  /** Who is charged. */
  readonly tenant: TenantId
  /** Share of the service relative to other tenants'. */
  readonly weight: number
  /** Of requests that do not say. */
  readonly priority: Priority
  /** The most urgent class that a request may ask for. */
  readonly highestPriority: Priority
  /** Whether it may change what the server serves. */
  readonly isAdmin: boolean
}
