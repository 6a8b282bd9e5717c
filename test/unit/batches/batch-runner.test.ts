import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Caller } from '../../../src/access/caller.ts'
import { migrate } from '../../../src/access/storage/migrate.ts'
import { SqliteDatabase } from '../../../src/access/storage/sqlite-database.ts'
import { BatchJobs } from '../../../src/batches/batch-jobs.ts'
import { BatchRunner, type LineOutcome, type LineRun } from '../../../src/batches/batch-runner.ts'
import { BatchStore } from '../../../src/batches/batch-store.ts'
import { completionWindowMs } from '../../../src/batches/batch.ts'
import { FileStore } from '../../../src/batches/files/file-store.ts'
import { FileWriter } from '../../../src/batches/files/file-writer.ts'
import { LineStore } from '../../../src/batches/line-store.ts'
import { mostAttempts } from '../../../src/batches/verdict.ts'
import { asTenantId } from '../../../src/domain/ids.ts'
import { createBatchCounts } from '../../../src/telemetry/batch-metrics.ts'
import { chatLines, type ResultLine } from '../../support/batch-client.ts'
import { waitUntil } from '../../support/server-process.ts'

const caller: Caller = {
  owner: 'anna', tenant: asTenantId('anna'), keyId: null, isAnonymous: false, scopes: ['inference'], models: null, adapters: null, weight: 1, priority: 'interactive', highestPriority: 'interactive', limits: []
}
const usage = { inputTokens: 1, cachedTokens: 0, outputTokens: 1, reasoningTokens: 0 }
const ok: LineOutcome = { statusCode: 200, response: '{}', errorCode: null, retryAfterMs: null, usage }
const quota = { perOwner: 1_000_000, total: 1_000_000 }

const folders: string[] = []
const closers: (() => Promise<unknown>)[] = []
let now: number
beforeEach(() => { now = 1_700_000_000_000 })
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
})

/** A runner over an empty database, whose lines do what the test says, at a time that the test makes. */
async function setUp (runLine: (run: LineRun) => Promise<LineOutcome>) {
  const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-runner-'))
  folders.push(folder)
  const database = new SqliteDatabase(path.join(folder, 'x.db'), { warn: () => {} })
  closers.push(async () => await database.close())
  await migrate(database)
  const clock = () => now
  const [batches, lines, files] = [new BatchStore(database, clock), new LineStore(database, quota, clock), new FileStore({ database, quota, now: clock })]
  const jobs = new BatchJobs({ batches, lines, files, recall: async () => caller, parse: (text) => JSON.parse(text) as unknown, maxLines: 100, longestLine: 10_000, fileTtlMs: 5000 })
  const runner = new BatchRunner({
    batches, lines, jobs, runLine, recall: async () => caller, capacityOf: () => ({ group: 'm', lines: 4 }), counts: createBatchCounts(), logger: { info: () => {}, warn: () => {} }, now: clock, pollMs: 5, idlePollMs: 5
  })
  runner.start()
  closers.push(async () => await runner.stop())

  async function create (content: string, outputTtlMs: number | null = null): Promise<string> {
    const writer = new FileWriter(files, caller, true)
    await writer.write(content)
    const file = await files.publish(await writer.end(), { purpose: 'batch', filename: 'x', ttlMs: null })
    const { id } = await batches.create({ owner: 'anna', tenant: caller.tenant, keyId: null, isAnonymous: false, endpoint: '/v1/chat/completions', inputFileId: file.id, metadata: null, outputTtlMs })
    return id
  }

  async function read (id: string | null): Promise<ResultLine[]> {
    let text = ''
    if (id !== null) for await (const piece of files.read(id)) text += piece
    return text.split('\n').filter((line) => line !== '').map((line) => JSON.parse(line) as ResultLine)
  }

  const untilEnded = async (id: string, passingMs = 0) => {
    await waitUntil(async () => {
      now += passingMs
      return ['completed', 'failed', 'expired', 'cancelled'].includes((await batches.get('anna', id)).status)
    })
    return await batches.get('anna', id)
  }
  return { batches, files, create, read, untilEnded }
}

/** An answer that comes when the line is given up. */
const untilGivenUp = async ({ signal }: LineRun): Promise<LineOutcome> => await new Promise((resolve) => {
  signal.addEventListener('abort', () => resolve({ ...ok, statusCode: 499, errorCode: 'request_aborted' }))
})

describe('the runner', () => {
  it('gives up what is not done after 24 hours, and says so of each line', async () => {
    const { batches, create, read, untilEnded } = await setUp(async (run) => Number(/What is (\d+)/.exec(run.body)?.[1]) < 2 ? ok : await untilGivenUp(run))
    const id = await create(chatLines('m', Array.from({ length: 10 }, (_, index) => `What is ${index}?`)))
    await waitUntil(async () => (await batches.get('anna', id)).completed === 2)
    now += completionWindowMs
    const batch = await untilEnded(id)
    expect(batch).toMatchObject({ status: 'expired', expiredAt: now, total: 10, completed: 2, failed: 8, completedAt: null })
    expect((await read(batch.outputFileId)).map(({ custom_id: customId }) => customId)).toEqual(['line-0', 'line-1'])
    const errors = await read(batch.errorFileId)
    expect(errors.map(({ custom_id: customId, response, error }) => [customId, response, error?.code])).toEqual(
      Array.from({ length: 8 }, (_, index) => [`line-${index + 2}`, null, 'batch_expired'])
    )
  })

  it('tries a line that its engine dies of a few times, and then writes the error', async () => {
    let tries = 0
    const { create, read, untilEnded } = await setUp(async ({ caller: { priority, highestPriority, isBatch } }) => {
      expect({ priority, highestPriority, isBatch }).toEqual({ priority: 'batch', highestPriority: 'batch', isBatch: true })
      tries++
      return { ...ok, statusCode: 500, errorCode: 'engine_crashed', response: '{"error":{"code":"engine_crashed"}}' }
    })
    const batch = await untilEnded(await create(chatLines('m', ['one'])), 100)
    expect(tries).toBe(mostAttempts)
    expect(batch).toMatchObject({ status: 'completed', total: 1, completed: 0, failed: 1, outputFileId: null })
    expect((await read(batch.errorFileId))[0]?.response).toMatchObject({ status_code: 500, body: { error: { code: 'engine_crashed' } } })
  })

  it('runs a line again that was lost on the way', async () => {
    let tries = 0
    const { create, untilEnded } = await setUp(async () => {
      if (tries++ === 0) throw new Error('The answer was cut off')
      return ok
    })
    expect(await untilEnded(await create(chatLines('m', ['one'])))).toMatchObject({ status: 'completed', completed: 1 })
    expect(tries).toBe(2)
  })

  it('keeps the files that it makes for as long as is asked, or as files are', async () => {
    const { create, files, untilEnded } = await setUp(async () => ok)
    const ended = [await untilEnded(await create(chatLines('m', ['one']))), await untilEnded(await create(chatLines('m', ['one']), 7000))]
    const found = await Promise.all(ended.map(async ({ outputFileId }) => await files.find('anna', outputFileId ?? '')))
    expect(found.map((file) => file?.expiresAt)).toEqual([now + 5000, now + 7000])
  })
})
