import type { Config } from '../config/config.ts'
import { createStaticKeys, type StaticKeys } from './static-keys.ts'

/** The keys of the settings. */
export const createConfiguredKeys = ({ apiKeys, adminKeys, tenants }: Pick<Config, 'adminKeys' | 'apiKeys' | 'tenants'>): StaticKeys =>
  createStaticKeys(apiKeys, tenants.map(({ admin, ...tenant }) => ({ ...tenant, isAdmin: admin })), adminKeys)
