import type { Migration } from '../migrate.ts'

export const apiKeys: Migration = {
  version: 1,
  name: 'api-keys',
  statements: [
    `CREATE TABLE drawbridge_api_keys (
      id TEXT PRIMARY KEY,
      digest TEXT NOT NULL,
      owner TEXT NOT NULL,
      name TEXT NOT NULL,
      scopes TEXT NOT NULL,
      models TEXT,
      adapters TEXT,
      weight DOUBLE PRECISION NOT NULL,
      priority TEXT NOT NULL,
      highest_priority TEXT NOT NULL,
      names_users INTEGER NOT NULL,
      created_at BIGINT NOT NULL,
      expires_at BIGINT,
      revoked_at BIGINT,
      last_used_at BIGINT,
      replaced_by TEXT
    )`,
    'CREATE INDEX drawbridge_api_keys_by_owner ON drawbridge_api_keys (owner, created_at)'
  ]
}
