import type { Config } from '../config/config.ts'
import type { SchedulingLimits } from '../scheduler/scheduler-types.ts'

/** What of the settings engines may be told while they run. */
export const schedulingLimits = ({ maxQueue, maxQueuePerTenant, maxQueueTokens, targetItlMs }: Config): SchedulingLimits => ({
  maxQueue,
  ...(maxQueuePerTenant === 'off' ? {} : { maxQueuePerTenant }),
  ...(maxQueueTokens === 'off' ? {} : { maxQueueTokens }),
  targetItlMs
})
