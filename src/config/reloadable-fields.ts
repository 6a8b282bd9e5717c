import type { Config } from './config.ts'

/** The settings that a running server takes over: those that are looked at anew for each request, and those with parts made for it. */
export const reloadableFields = [
  'adapterMemory', 'adapters', 'adminKeys', 'apiKeys', 'drainTimeoutMs', 'idleTimeoutMs', 'keepAliveMs', 'limits', 'logLevel', 'maxAdapters', 'maxConnections', 'maxQueue',
  'maxQueuePerTenant', 'maxQueueTokens', 'maxResponses', 'maxTokensDefault', 'maxTokensLimit', 'prices', 'queueTimeoutMs', 'requestTimeoutMs', 'responseStore',
  'responseTtlMs', 'targetItlMs', 'tenants', 'trustedProxies', 'usageRetentionMs'
] as const satisfies readonly (keyof Config)[]

export type ReloadableField = typeof reloadableFields[number]
