import type { Config } from '../config/config.ts'
import { type Access, createStaticKeys } from './static-keys.ts'

/** Who may come in, by the settings. */
export const createConfiguredAccess = ({ apiKeys, adminKeys, tenants }: Pick<Config, 'adminKeys' | 'apiKeys' | 'tenants'>): Access =>
  createStaticKeys(apiKeys, tenants.map(({ admin, ...tenant }) => ({ ...tenant, isAdmin: admin })), adminKeys)
