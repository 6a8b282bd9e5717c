import type { Migration } from '../migrate.ts'

/** A subject is `key:ID` or `owner:NAME`. Times in microseconds have names that end in `_at`, days are counted from 1970. */
export const limits: Migration = {
  version: 3,
  name: 'limits',
  statements: [
    'ALTER TABLE drawbridge_api_keys ADD COLUMN limits TEXT',
    // The first of the keys that were rotated one into the other; null where it is this one.
    'ALTER TABLE drawbridge_api_keys ADD COLUMN first_id TEXT',
    'CREATE TABLE drawbridge_owners (owner TEXT PRIMARY KEY, limits TEXT NOT NULL)',
    'CREATE TABLE drawbridge_buckets (subject TEXT PRIMARY KEY, requests_full_at BIGINT NOT NULL, tokens_full_at BIGINT NOT NULL)',
    'CREATE TABLE drawbridge_replicas (id TEXT PRIMARY KEY, alive_until_at BIGINT NOT NULL)',
    `CREATE TABLE drawbridge_reservations (
      id TEXT NOT NULL,
      subject TEXT NOT NULL,
      replica TEXT NOT NULL,
      runs INTEGER NOT NULL,
      tokens BIGINT NOT NULL,
      cost DOUBLE PRECISION NOT NULL,
      PRIMARY KEY (id, subject)
    )`,
    'CREATE INDEX drawbridge_reservations_by_subject ON drawbridge_reservations (subject)',
    `CREATE TABLE drawbridge_spending (
      subject TEXT NOT NULL,
      day INTEGER NOT NULL,
      model TEXT NOT NULL,
      tokens BIGINT NOT NULL,
      prompt_tokens BIGINT NOT NULL,
      cached_tokens BIGINT NOT NULL,
      completion_tokens BIGINT NOT NULL,
      PRIMARY KEY (subject, day, model)
    )`,
    ...[['\'owner:\' || owner', 'owner <> \'\''], ['\'key:\' || key_id', 'key_id IS NOT NULL']].map(([subject, condition]) =>
      `INSERT INTO drawbridge_spending (subject, day, model, tokens, prompt_tokens, cached_tokens, completion_tokens)
       SELECT ${subject}, CAST(finished_at / 86400000 AS INTEGER), model, SUM(prompt_tokens + completion_tokens),
         SUM(CASE WHEN outcome = 'error' THEN 0 ELSE prompt_tokens END), SUM(CASE WHEN outcome = 'error' THEN 0 ELSE cached_tokens END),
         SUM(CASE WHEN outcome = 'error' THEN 0 ELSE completion_tokens END)
       FROM drawbridge_usage WHERE ${condition} GROUP BY 1, 2, 3`)
  ]
}
