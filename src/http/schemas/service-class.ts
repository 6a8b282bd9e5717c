import { z } from 'zod'
import type { Caller } from '../../access/caller.ts'
import type { Config } from '../../config/config.ts'
import { ServerError } from '../../domain/errors.ts'
import type { Millis } from '../../domain/ids.ts'
import { rankOf, type Priority } from '../../domain/priority.ts'

/** Members of a request that say how urgent it is; the same for all endpoints that run a model. */
export const serviceClassMembers = {
  /** OpenAI's: `flex` is cheaper and later, `priority` is dearer and sooner. `scale` is a contract with OpenAI, none here. */
  service_tier: z.enum(['auto', 'default', 'flex', 'scale', 'priority']).optional(),
  /** vLLM's: less is sooner. */
  priority: z.int().min(-2_147_483_648).max(2_147_483_647).optional()
}

export type ServiceClassRequest = z.output<z.ZodObject<typeof serviceClassMembers>>

const ofTier = { auto: null, default: null, scale: null, flex: 'batch', priority: 'interactive' } as const satisfies Record<string, Priority | null>
const tierOf = { interactive: 'priority', normal: 'default', batch: 'flex' } as const satisfies Record<Priority, string>

export interface ServiceClass {
  readonly priority: Priority
  /** What the answer says of it. */
  readonly tier: typeof tierOf[Priority]
}

/**
 * The class that a request is served in: the one it asks for, if its caller may. A `service_tier` that is too urgent is served as the
 * caller's own class, and the answer says so, as with OpenAI; a `priority` that is too urgent is refused, because no answer could say.
 *
 * @throws ServerError `invalid_value`
 */
export function serviceClassOf ({ service_tier: tier, priority }: ServiceClassRequest, caller: Caller): ServiceClass {
  if (tier !== undefined && priority !== undefined && priority !== 0) {
    throw new ServerError('invalid_value', 'Invalid value for \'priority\': it and \'service_tier\' say the same; leave one of them out', { param: 'priority' })
  }
  const highest = rankOf(caller.highestPriority)
  if (priority !== undefined && priority < 0 && highest > rankOf('interactive')) {
    throw new ServerError('invalid_value', `Invalid value for 'priority': requests with this key may be no more urgent than 0, but got ${priority}`, { param: 'priority' })
  }
  const asked = tier !== undefined ? ofTier[tier] : priority === undefined || priority === 0 ? null : priority > 0 ? 'batch' : 'interactive'
  const given = asked !== null && rankOf(asked) >= highest ? asked : caller.priority
  return { priority: given, tier: tierOf[given] }
}

/** How long a request may wait for a slot: what fills idle time waits for it. */
export const queueTimeoutOf = ({ priority }: ServiceClass, { requestTimeoutMs, queueTimeoutMs }: Pick<Config, 'requestTimeoutMs' | 'queueTimeoutMs'>): Millis =>
  priority === 'batch' ? requestTimeoutMs : queueTimeoutMs
