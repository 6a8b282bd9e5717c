import type { Migration } from '../migrate.ts'

export const usage: Migration = {
  version: 2,
  name: 'usage',
  statements: [
    `CREATE TABLE drawbridge_usage (
      id TEXT PRIMARY KEY,
      request_id TEXT NOT NULL,
      finished_at BIGINT NOT NULL,
      owner TEXT NOT NULL,
      tenant TEXT NOT NULL,
      key_id TEXT,
      model TEXT NOT NULL,
      adapters TEXT NOT NULL,
      endpoint TEXT NOT NULL,
      prompt_tokens INTEGER NOT NULL,
      cached_tokens INTEGER NOT NULL,
      completion_tokens INTEGER NOT NULL,
      queued_ms INTEGER,
      ttft_ms INTEGER,
      duration_ms INTEGER NOT NULL,
      finish_reasons TEXT NOT NULL,
      outcome TEXT NOT NULL,
      error_code TEXT
    )`,
    'CREATE INDEX drawbridge_usage_by_time ON drawbridge_usage (finished_at, id)',
    'CREATE INDEX drawbridge_usage_by_owner ON drawbridge_usage (owner, finished_at, id)'
  ]
}
