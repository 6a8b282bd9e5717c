import { describe, expect, it } from 'vitest'
import { DatabaseLimitStore } from '../../src/access/limits/database-limit-store.ts'
import { PostgresqlDatabase } from '../../src/access/storage/postgresql-database.ts'
import { hasPostgresql, startPostgresql } from '../support/postgresql-server.ts'
import { askUntilRefused, createLimitedKey } from '../support/limited-load.ts'
import { startServer, waitUntil } from '../support/server-process.ts'

const flags = (url: string, stepMs = 1): readonly string[] =>
  ['--model', 'fake', '--slots', '16', '--fake-step-ms', String(stepMs), '--fake-decode-token-ms', '0', '--database-url', url, '--admin-key', 'root', '--public-route', 'ready', '--log-level', 'warn']

describe.runIf(hasPostgresql)('two servers on one PostgreSQL (Debian: apt-get install postgresql)', () => {
  it('let in together what a limit of a minute says, within 2 %', async () => {
    await using postgresql = await startPostgresql()
    const url = await postgresql.createDatabase('minutes')
    await using first = await startServer(flags(url))
    await using second = await startServer(flags(url))
    const perMinute = 300
    const { secret } = await createLimitedKey(first, { requests_per_minute: perMinute })
    const { letIn, elapsedMs, byServer } = await askUntilRefused([first, second], secret, 8000)
    // What the bucket holds, and what has come back since the first request.
    const allowed = (passedMs: number): number => perMinute * (1 + passedMs / 60_000)
    expect(letIn).toBeGreaterThan(0.98 * allowed(elapsedMs.least))
    expect(letIn).toBeLessThan(1.02 * allowed(elapsedMs.most))
    for (const part of byServer) expect(part).toBeGreaterThan(letIn / 10)
  })

  it('share what runs at once, and forget what a killed one ran, but no budget', async () => {
    await using postgresql = await startPostgresql()
    const url = await postgresql.createDatabase('running')
    await using doomed = await startServer(flags(url, 50))
    await using other = await startServer(flags(url))
    const { secret, id } = await createLimitedKey(doomed, { concurrent_requests: 1, tokens_per_day: 1_000_000 })
    const ask = async (origin: string, maxTokens: number) => await fetch(`${origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
      body: JSON.stringify({ model: 'fake', messages: [{ role: 'user', content: 'Hi' }], max_tokens: maxTokens, ignore_eos: true })
    })
    const { usage } = await (await ask(other.origin, 5)).json() as { usage: { total_tokens: number } }
    const database = new PostgresqlDatabase(url, { warn: () => {} })
    const limits = new DatabaseLimitStore(database, () => [])
    const state = async () => (await limits.read([`key:${id}`])).states.get(`key:${id}`)!
    const cutOff = ask(doomed.origin, 1000).catch(() => null)
    await waitUntil(async () => (await state()).running === 1, 'the running request')
    expect((await ask(other.origin, 5)).status).toBe(429)
    doomed.child.kill('SIGKILL')
    await cutOff
    expect(await state()).toMatchObject({ running: 1, spentToday: { tokens: usage.total_tokens } })
    // A minute later: it has said nothing since.
    await database.query('UPDATE drawbridge_replicas SET alive_until_at = alive_until_at - 60000000')
    expect((await ask(other.origin, 5)).status).toBe(200)
    await database.close()
  })
})
