import type { Config } from '../config/config.ts'
import { createStaticKeys, plainScopes, type StaticKeys } from './static-keys.ts'

/** The keys of the settings. */
export const createConfiguredKeys = ({ apiKeys, adminKeys, tenants }: Pick<Config, 'adminKeys' | 'apiKeys' | 'tenants'>): StaticKeys =>
  createStaticKeys(apiKeys, tenants.map(({ admin, scopes, ...tenant }) => ({ ...tenant, scopes: admin ? ['admin'] : scopes ?? plainScopes })), adminKeys)
