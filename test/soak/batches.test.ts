import { expect, it } from 'vitest'
import { runUnderStops } from '../support/batch-under-stops.ts'
import { hasPostgresql, startPostgresql } from '../support/postgresql-server.ts'

/** 1000 unless `SOAK_LINES` says otherwise. */
const count = Number(process.env['SOAK_LINES'] ?? 1000)

async function expectEachLineOnce (databaseUrl?: string): Promise<void> {
  const { batch, customIds, expected, doneAtStops, runs } = await runUnderStops(count, ['SIGTERM', 'SIGKILL', 'SIGKILL', 'SIGTERM'], databaseUrl)
  process.stdout.write(`${JSON.stringify({ lines: count, results: customIds.length, doneAtStops, runs })}\n`)
  expect(batch).toMatchObject({ status: 'completed', request_counts: { total: count, completed: count, failed: 0 } })
  expect(customIds).toEqual(expected)
}

it(`a batch of ${count} lines survives two stops and two kills, with each line once`, async () => await expectEachLineOnce())

it.runIf(hasPostgresql)('and so it does in PostgreSQL', async () => {
  await using postgresql = await startPostgresql()
  await expectEachLineOnce(await postgresql.createDatabase('batches'))
})
