import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import OpenAI, { toFile } from 'openai'
import { chatLines, type ResultLine } from './batch-client.ts'
import { startServer, type ServerProcess, waitUntil } from './server-process.ts'

export interface StoppedBatch {
  readonly batch: OpenAI.Batch
  /** Custom ids of the output file, in its order. */
  readonly customIds: readonly string[]
  readonly expected: readonly string[]
  /** How many lines had their result each time that the server ended. */
  readonly doneAtStops: readonly number[]
  /** Complete runs in the ledger of usage; those that were cut off after their run are run again. */
  readonly runs: number
}

const key = 'sk-of-batches'

export const batchServerFlags = (database: readonly string[]): readonly string[] => [
  '--model', 'fake', '--slots', '8', '--api-key', key, '--admin-key', `${key}-admin`, '--fake-step-ms', '2', '--fake-decode-token-ms', '0', '--log-level', 'warn', ...database
]

export const clientOf = ({ baseURL }: ServerProcess): OpenAI => new OpenAI({ baseURL, apiKey: key, maxRetries: 0 })

export async function createBatch (client: OpenAI, content: string): Promise<string> {
  const file = await client.files.create({ file: await toFile(Buffer.from(content), 'input.jsonl'), purpose: 'batch' })
  return (await client.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' })).id
}

export async function untilDone (client: OpenAI, id: string, count: number, limitMs = 120_000): Promise<OpenAI.Batch> {
  let batch = await client.batches.retrieve(id)
  await waitUntil(async () => {
    batch = await client.batches.retrieve(id)
    return (batch.request_counts?.completed ?? 0) >= count || batch.status === 'completed'
  }, `${count} lines`, limitMs)
  return batch
}

export async function readCustomIds (client: OpenAI, batch: OpenAI.Batch): Promise<readonly string[]> {
  if (batch.output_file_id === undefined) return []
  const text = await (await client.files.content(batch.output_file_id)).text()
  return text.split('\n').filter((line) => line !== '').map((line) => (JSON.parse(line) as ResultLine).custom_id)
}

async function readRuns ({ origin }: ServerProcess): Promise<number> {
  const response = await fetch(`${origin}/v1/admin/usage?group_by=endpoint,outcome`, { headers: { authorization: `Bearer ${key}-admin` } })
  const { data } = await response.json() as { data: readonly { endpoint: string, outcome: string, requests: number }[] }
  return data.filter(({ endpoint, outcome }) => endpoint === 'batch /v1/chat/completions' && outcome === 'ok').reduce((sum, { requests }) => sum + requests, 0)
}

/**
 * Runs a batch, and ends its server by each of the signals in turn, each time after another part of the lines; the next server goes on.
 * @param databaseUrl in the place of a SQLite file
 */
export async function runUnderStops (count: number, signals: readonly NodeJS.Signals[], databaseUrl?: string): Promise<StoppedBatch> {
  const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-batches-'))
  const flags = batchServerFlags(databaseUrl === undefined ? ['--data-dir', folder] : ['--database-url', databaseUrl])
  const prompts = Array.from({ length: count }, (_, index) => `What is ${index}?`)
  const doneAtStops: number[] = []
  let id: string | null = null
  try {
    for (const [index, signal] of signals.entries()) {
      await using server = await startServer(flags)
      const client = clientOf(server)
      id ??= await createBatch(client, chatLines('fake', prompts, { max_tokens: 8, ignore_eos: true }))
      const batch = await untilDone(client, id, Math.floor(count * (index + 1) / (signals.length + 1)))
      doneAtStops.push(batch.request_counts?.completed ?? 0)
      const code = await server.stop(signal)
      if (signal === 'SIGTERM' && code !== 0) throw new Error(`The server ended with ${code}:\n${server.output()}`)
    }
    await using server = await startServer(flags)
    const client = clientOf(server)
    const ended = await untilDone(client, id ?? '', count)
    await waitUntil(async () => (await client.batches.retrieve(ended.id)).status === 'completed')
    const batch = await client.batches.retrieve(ended.id)
    return { batch, customIds: await readCustomIds(client, batch), expected: prompts.map((_, index) => `line-${index}`), doneAtStops, runs: await readRuns(server) }
  } finally {
    rmSync(folder, { recursive: true })
  }
}
