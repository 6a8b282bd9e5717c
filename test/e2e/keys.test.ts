import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { hasPostgresql, startPostgresql } from '../support/postgresql-server.ts'
import { runMain } from '../support/run-main.ts'
import { type ServerProcess, startServer, waitUntil } from '../support/server-process.ts'

let directory = ''
beforeEach(() => { directory = mkdtempSync(path.join(tmpdir(), 'drawbridge-keys-')) })
afterEach(() => { rmSync(directory, { recursive: true }) })

const run = async (...argv: readonly string[]) => await runMain(['keys', ...argv])
const here = (): readonly string[] => ['--data-dir', directory]

async function create (...argv: readonly string[]): Promise<{ readonly key: string, readonly id: string }> {
  const { code, stdout, stderr } = await run('create', ...argv, '--json')
  expect([code, stderr]).toEqual([0, ''])
  return JSON.parse(stdout) as { key: string, id: string }
}

async function statusOf ({ origin }: ServerProcess, key: string | null, url = '/v1/models'): Promise<number> {
  return (await fetch(`${origin}${url}`, key === null ? {} : { headers: { authorization: `Bearer ${key}` } })).status
}

describe('drawbridge keys', () => {
  it('explains itself, and knows no other commands', async () => {
    const help = await run()
    expect(help).toMatchObject({ code: 0, stderr: '' })
    expect(help.stdout).toContain('create OWNER')
    expect(await run('revoke', '--help')).toEqual(help)
    const cases: readonly (readonly [readonly string[], string])[] = [
      [['creat'], 'There is no command "keys creat"; did you mean create? (drawbridge keys --help explains)'],
      [['create'], 'keys create takes an owner (drawbridge keys --help explains)'],
      [['create', 'a', '--scope', 'root', ...here()], 'Invalid value for \'scopes[0]\': expected "inference" or "models" or "adapters" or "metrics" or "admin", but got "root"'],
      [['create', 'a', '--expires-in', 'soon', ...here()], '--expires-in is "soon", but must be a time of at least 1s, such as 12h or 90d'],
      [['create', 'a', '--limit', 'tokens=5', ...here()], '--limit is "tokens=5", but must be NAME=VALUE with one of the names requests-per-minute, tokens-per-minute, tokens-per-day, tokens-per-month, cost-per-day, cost-per-month, concurrent-requests, context-tokens, answer-tokens'],
      [['limit', 'a', '--limit', 'tokens-per-day=0', ...here()], 'Invalid value for \'limits.tokens_per_day\': expected at least 1, but got 0'],
      [['update', 'key_none', '--name', 'x', ...here()], 'There is no key with the id "key_none"'],
      [['revoke', 'key_none', ...here()], 'There is no key with the id "key_none"'],
      [['list', '--url', 'http://127.0.0.1:1', ...here()], '--url and --data-dir are two places; give one of them'],
      [['list'], 'There is no database of keys: give --data-dir DIR or --database-url URL, or --url URL of a running server']
    ]
    for (const [argv, sentence] of cases) expect(await run(...argv)).toEqual({ code: 1, stdout: '', stderr: `drawbridge: ${sentence}\n` })
  })

  it('makes, lists, rotates and revokes keys where no server runs', async () => {
    const made = await run('create', 'anna', '--name', 'laptop', '--scope', 'inference', '--scope', 'metrics', '--model', 'a*', '--expires-in', '90d', ...here())
    expect(made).toMatchObject({ code: 0, stdout: expect.stringMatching(/^sk-db-[0-9A-Za-z]{50}\n$/), stderr: expect.stringContaining(`of anna, for inference, metrics; kept in ${directory}/drawbridge.db`) })
    const id = `key_${made.stdout.slice(6, 18)}`
    const rotated = await run('rotate', id, '--overlap', '1d', ...here())
    const newId = `key_${rotated.stdout.slice(6, 18)}`
    expect((await run('revoke', newId, ...here())).stdout).toBe(`Revoked ${newId} (${rotated.stdout.slice(0, 18)}…) of anna.\n`)
    const { stdout } = await run('list', ...here())
    const [titles, ...rows] = stdout.trimEnd().split('\n').map((line) => line.split(/ {2,}/))
    expect(titles).toEqual(['id', 'owner', 'name', 'state', 'scopes', 'models', 'adapters', 'ends', 'last used'])
    expect(rows.map((row) => row.slice(0, 7)).sort()).toEqual([
      [id, 'anna', 'laptop', 'active', 'inference,metrics', 'a*', 'all'], [newId, 'anna', 'laptop', 'revoked', 'inference,metrics', 'a*', 'all']
    ].sort())
    expect(stdout).not.toContain(made.stdout.slice(18, 50))
    expect((await run('list', '--owner', 'ben', ...here())).stdout).toBe('There are no keys.\n')
  })

  it('changes keys, and sets limits of keys and of their owners', async () => {
    const { id } = await create('anna', '--limit', 'requests-per-minute=60', '--limit', 'cost-per-day=0.5', ...here())
    const changed = await run('update', id, '--limit', 'cost-per-day=default', '--limit', 'tokens-per-day=off', '--name', 'desk', ...here())
    expect(changed).toMatchObject({ code: 0, stdout: expect.stringMatching(/^Changed key_\w+ \(sk-db-\w+…\) of anna; its limits: requests-per-minute=60, tokens-per-day=off\.\n$/) })
    expect((await run('limit', 'anna', '--limit', 'tokens-per-month=1000', ...here())).stdout).toBe('Limits of all keys of anna: tokens-per-month=1000.\n')
    await using server = await startServer(['--model', 'fake', '--admin-key', 'root', '--public-route', 'ready', ...here()])
    const there = ['--url', server.origin, '--api-key', 'root']
    expect(JSON.parse((await run('limit', 'anna', '--limit', 'concurrent-requests=3', '--json', ...there)).stdout)).toEqual({ tokens_per_month: 1000, concurrent_requests: 3 })
    expect(JSON.parse((await run('update', id, '--scope', 'models', '--limit', 'requests-per-minute=1', '--json', ...there)).stdout)).toMatchObject({ name: 'desk', scopes: ['models'], limits: { requests_per_minute: 1, tokens_per_day: 'off' } })
  })

  it('tells the audit log of what it does at the database, and does nothing that it cannot tell', async () => {
    const config = path.join(directory, 'drawbridge.yaml')
    const log = path.join(directory, 'audit.jsonl')
    writeFileSync(config, 'auditLog: audit.jsonl\n', { mode: 0o600 })
    const { id, key } = await create('anna', ...here(), '--config', config)
    expect((await run('revoke', id, ...here(), '--audit-log', log)).code).toBe(0)
    const lines = readFileSync(log, 'utf8').trimEnd().split('\n').map((line) => JSON.parse(line) as object)
    expect(lines).toMatchObject([
      { event: 'key.create', outcome: 'done', owner: 'anna', keyId: id, command: 'keys' }, { event: 'key.revoke', outcome: 'done', keyId: id, command: 'keys' }
    ])
    expect(readFileSync(log, 'utf8')).not.toContain(key.slice(18))
    const refused = await run('create', 'ben', ...here(), '--audit-log', path.join(directory, 'nowhere', 'audit.jsonl'))
    expect(refused).toMatchObject({ code: 1, stdout: '', stderr: expect.stringContaining('its folder does not exist') as string })
    expect((await run('list', '--owner', 'ben', ...here())).stdout).toBe('There are no keys.\n')
  })

  it('closes a running server with the first key, and manages it through its API', async () => {
    await using server = await startServer(['--model', 'fake', ...here()])
    expect(await statusOf(server, null)).toBe(200)
    const root = await create('ops', '--scope', 'admin', ...here())
    await waitUntil(async () => await statusOf(server, null) === 401, 'the refusal of those without a key')
    expect(await statusOf(server, root.key)).toBe(200)
    const there = ['--url', server.origin, '--api-key', root.key]
    const { id, key } = await create('anna', ...there)
    expect([await statusOf(server, key), await statusOf(server, key, '/metrics')]).toEqual([200, 403])
    expect(await run('list', '--url', server.origin, '--api-key', key)).toEqual({ code: 1, stdout: '', stderr: 'drawbridge: This takes a key with the scope "admin", but yours has "inference"\n' })
    expect((await run('list', ...there)).stdout).toContain(id)
    // Used a moment ago; the use is written while the answer is already on its way.
    await waitUntil(async () => /anna.*\d\d:\d\d$/m.test((await run('list', ...there)).stdout), 'the last use')
    expect((await run('revoke', id, ...there)).code).toBe(0)
    expect(await statusOf(server, key)).toBe(401)
    expect(server.output()).not.toContain(key.slice(18))
  })

  it('opens an address to others', async () => {
    const refused = await runMain(['--host', '0.0.0.0', '--port', '0', '--model', 'fake', ...here()])
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('make one with drawbridge keys create') })
    const { key } = await create('anna', ...here())
    await using server = await startServer(['--host', '0.0.0.0', '--model', 'fake', '--public-route', 'ready', ...here()])
    expect([await statusOf(server, null), await statusOf(server, key)]).toEqual([401, 200])
  })
})

describe.runIf(hasPostgresql)('two servers on one PostgreSQL (Debian: apt-get install postgresql)', () => {
  it('share keys, also after one of them was killed', async () => {
    await using postgresql = await startPostgresql()
    const url = await postgresql.createDatabase('keys')
    // Together, so that both find the tables missing.
    const flags = ['--model', 'fake', '--database-url', url, '--admin-key', 'root', '--public-route', 'ready']
    const [one, two] = await Promise.all([startServer(flags), startServer(flags)])
    await using first = one
    await using second = two
    const keys = await Promise.all(Array.from({ length: 4 }, async (_, index) => await create(`owner-${index}`, '--url', first.origin, '--api-key', 'root')))
    first.child.kill('SIGKILL')
    for (const { key } of keys) expect(await statusOf(second, key)).toBe(200)
    const listed = JSON.parse((await run('list', '--json', '--database-url', url)).stdout) as readonly { readonly id: string }[]
    expect(listed.map(({ id }) => id).sort()).toEqual(keys.map(({ id }) => id).sort())
    // By another process than the one that serves.
    expect((await run('revoke', keys[0]!.id, '--database-url', url)).code).toBe(0)
    await waitUntil(async () => await statusOf(second, keys[0]!.key) === 401, 'the refusal of the revoked key')
    expect(await statusOf(second, keys[1]!.key)).toBe(200)
  })
})
