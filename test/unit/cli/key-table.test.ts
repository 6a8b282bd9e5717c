import { expect, it } from 'vitest'
import { keyTable } from '../../../src/cli/key-table.ts'

it('shows keys below each other, with their ends and uses in UTC', () => {
  const key = { id: 'key_1', prefix: 'sk-db-1', owner: 'anna', name: '', state: 'active', scopes: ['inference'], models: null, adapters: null, limits: {}, expires_at: null, revoked_at: null, last_used_at: null }
  expect(keyTable([])).toBe('There are no keys.\n')
  expect(keyTable([
    { ...key, expires_at: 1_795_685_146, last_used_at: 1_795_600_000 },
    { ...key, id: 'key_22', name: 'laptop', state: 'revoked', scopes: ['models', 'metrics'], models: ['a*', 'b'], adapters: ['c'], expires_at: 1_795_685_146, revoked_at: 1_795_600_000 }
  ])).toBe([
    'id      owner  name    state    scopes          models  adapters  ends              last used',
    'key_1   anna   -       active   inference       all     all       2026-11-26 09:25  2026-11-25 09:46',
    'key_22  anna   laptop  revoked  models,metrics  a*,b    c         2026-11-25 09:46  -',
    ''
  ].join('\n'))
})
