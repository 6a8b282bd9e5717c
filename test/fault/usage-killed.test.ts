import { describe, expect, it } from 'vitest'
import { expectExactLedger } from '../support/expect-exact-ledger.ts'
import { hasPostgresql, startPostgresql } from '../support/postgresql-server.ts'
import { fewestAnswers, runReplicaKill, runUnderKills } from '../support/usage-under-kills.ts'

it('a server that is killed five times under load has every complete answer in its ledger, once', async () => {
  const run = await runUnderKills(5, 7)
  expectExactLedger(run)
  // It was under load, and killed in the middle of it.
  expect(run.received.length).toBeGreaterThanOrEqual(5 * fewestAnswers)
  expect(run.cutOff).toBeGreaterThan(5)
})

describe.runIf(hasPostgresql)('where PostgreSQL is installed', () => {
  it('the death of one of two servers loses no row, and the other goes on', async () => {
    await using postgresql = await startPostgresql()
    const run = await runReplicaKill(await postgresql.createDatabase('usage'))
    expectExactLedger(run)
    expect(run.received.length).toBeGreaterThanOrEqual(120)
    expect(run.cutOff).toBeGreaterThan(0)
  })
})
