import { describe, expect, it } from 'vitest'
import { batchServerFlags, clientOf, createBatch, readCustomIds, runUnderStops, untilDone } from '../support/batch-under-stops.ts'
import { chatLines } from '../support/batch-client.ts'
import { hasPostgresql, startPostgresql } from '../support/postgresql-server.ts'
import { startServer, waitUntil } from '../support/server-process.ts'

describe('a batch whose server', () => {
  it.each(['SIGTERM', 'SIGKILL'] as const)('is ended by %s in the middle goes on in the next one, with each line once', async (signal) => {
    const count = 120
    const { batch, customIds, expected, doneAtStops, runs } = await runUnderStops(count, [signal])
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: count, completed: count, failed: 0 } })
    expect(customIds).toEqual(expected)
    expect(doneAtStops[0]).toBeGreaterThan(0)
    expect(doneAtStops[0]).toBeLessThan(count)
    // What was done before is not done again, but for lines that were under way.
    expect(runs).toBeGreaterThanOrEqual(count)
    expect(runs).toBeLessThanOrEqual(count + 10)
  })
})

describe.runIf(hasPostgresql)('where PostgreSQL is installed', () => {
  it('two servers share a batch, and the death of one leaves it to the other', async () => {
    await using postgresql = await startPostgresql()
    const flags = batchServerFlags(['--database-url', await postgresql.createDatabase('batches')])
    await using doomed = await startServer(flags)
    await using other = await startServer(flags)
    const count = 300
    const id = await createBatch(clientOf(doomed), chatLines('fake', Array.from({ length: count }, (_, index) => `What is ${index}?`), { max_tokens: 20, ignore_eos: true }))
    await untilDone(clientOf(other), id, 60)
    doomed.child.kill('SIGKILL')
    const client = clientOf(other)
    await waitUntil(async () => (await client.batches.retrieve(id)).status === 'completed', 'the end of the batch', 90_000)
    const batch = await client.batches.retrieve(id)
    expect(batch.request_counts).toEqual({ total: count, completed: count, failed: 0 })
    expect(await readCustomIds(client, batch)).toEqual(Array.from({ length: count }, (_, index) => `line-${index}`))
  })
})
