import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import type { Database } from '../../src/access/storage/database.ts'
import { PostgresqlDatabase } from '../../src/access/storage/postgresql-database.ts'
import { SqliteDatabase } from '../../src/access/storage/sqlite-database.ts'
import type { UsageRow } from '../../src/access/usage/usage-row.ts'
import { type UsagePosition, UsageStore } from '../../src/access/usage/usage-store.ts'
import { Random } from '../../src/domain/random.ts'
import { readSse } from './sse.ts'
import { startServer, type ServerProcess, waitUntil } from './server-process.ts'

/** What a client has of an answer that is complete. */
export interface ReceivedAnswer {
  readonly id: string
  readonly promptTokens: number
  readonly completionTokens: number
}

export interface KilledRun {
  readonly received: readonly ReceivedAnswer[]
  /** Rows of the ledger whose run was complete. */
  readonly complete: readonly UsageRow[]
  /** Complete rows of requests whose clients saw the connection end first. */
  readonly undelivered: readonly UsageRow[]
  /** Tokens of all rows, and those that are on the budget of the key's owner. */
  readonly booked: number
  readonly spent: number
  /** Requests that were under way when their server was killed, of all kills together. */
  readonly cutOff: number
}

const apiKey = 'sk-under-kills'
const clientCount = 24

/** Of each life. */
export const fewestAnswers = 5

/** What the clients of all servers have seen so far. */
class Clients {
  readonly received: ReceivedAnswer[] = []
  readonly cutOff = new Set<string>()

  /** Asks for one answer after the other until it is stopped. */
  start (server: ServerProcess, name: string): { readonly stop: () => void, readonly ended: Promise<unknown> } {
    const state = { isOver: false }
    const ended = Promise.all(Array.from({ length: clientCount }, async (_, client) => {
      for (let turn = 0; !state.isOver; turn++) {
        const requestId = `${name}.client-${client}.turn-${turn}`
        const answer = await ask(server, requestId, client % 2 === 0, 1 + (client + turn) % 7)
        if (answer === null) this.cutOff.add(requestId)
        else this.received.push(answer)
      }
    }))
    return { stop: () => { state.isOver = true }, ended }
  }

  async untilMore (count: number): Promise<void> {
    const wanted = this.received.length + count
    await waitUntil(() => this.received.length >= wanted, `${count} more answers`)
  }

  compare ({ rows, spent }: Ledger): KilledRun {
    const booked = rows.reduce((sum, { promptTokens, completionTokens }) => sum + promptTokens + completionTokens, 0)
    const complete = rows.filter(({ outcome }) => outcome === 'ok')
    return { received: this.received, complete, booked, spent, undelivered: complete.filter(({ requestId }) => this.cutOff.has(requestId)), cutOff: this.cutOff.size }
  }
}

/** Limits that nobody comes near, so that every request is reserved and settled. */
const settings = 'limits: { tokensPerMinute: 1000000000, tokensPerMonth: 1000000000000, concurrentRequests: 1000000 }\n'

interface Ledger {
  readonly rows: readonly UsageRow[]
  readonly spent: number
}

async function start (folder: string, ...database: readonly string[]): Promise<ServerProcess> {
  const config = path.join(folder, 'settings.yaml')
  writeFileSync(config, settings)
  return await startServer([
    '--config', config, '--model', 'fake', '--slots', '8', '--max-queue', '1000', '--api-key', apiKey, '--fake-step-ms', '1', '--fake-decode-token-ms', '0', '--log-level', 'warn', ...database
  ])
}

/**
 * Kills a server under load with `kill -9`, as often as asked, each time after a pseudo-random number of answers and a while, and with the
 * ledger of the lives before, and compares what clients have with what the ledger has.
 */
export async function runUnderKills (kills: number, seed: number): Promise<KilledRun> {
  const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-kills-'))
  try {
    const random = new Random(seed)
    const clients = new Clients()
    for (let life = 0; life < kills; life++) {
      await using server = await start(folder, '--data-dir', folder)
      const { stop, ended } = clients.start(server, `life-${life}`)
      await clients.untilMore(fewestAnswers + random.below(40))
      await delay(random.uniform() * 30)
      server.child.kill('SIGKILL')
      stop()
      await ended
    }
    return clients.compare(await readLedger(new SqliteDatabase(path.join(folder, 'drawbridge.db'), silent)))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Kills one of two servers that share a PostgreSQL, while the other goes on, and compares in the same way. */
export async function runReplicaKill (databaseUrl: string): Promise<KilledRun> {
  const clients = new Clients()
  const folder = mkdtempSync(path.join(tmpdir(), 'drawbridge-kills-'))
  await using doomed = await start(folder, '--database-url', databaseUrl)
  await using other = await start(folder, '--database-url', databaseUrl)
  rmSync(folder, { recursive: true })
  const [ofDoomed, ofOther] = [clients.start(doomed, 'doomed'), clients.start(other, 'other')]
  await clients.untilMore(60)
  doomed.child.kill('SIGKILL')
  ofDoomed.stop()
  await ofDoomed.ended
  await clients.untilMore(60)
  ofOther.stop()
  await ofOther.ended
  if ([...clients.cutOff].some((id) => id.startsWith('other'))) throw new Error('The server that was not killed has cut off an answer')
  return clients.compare(await readLedger(new PostgresqlDatabase(databaseUrl, silent)))
}

const silent = { warn: (): void => {} }

/** @returns null for an answer that did not come whole */
async function ask ({ origin }: ServerProcess, requestId: string, stream: boolean, maxTokens: number): Promise<ReceivedAnswer | null> {
  interface Body { readonly id: string, readonly usage?: { readonly prompt_tokens: number, readonly completion_tokens: number } | null }
  let text: string
  try {
    const response = await fetch(`${origin}/v1/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${apiKey}`, 'x-request-id': requestId },
      body: JSON.stringify({
        model: 'fake', messages: [{ role: 'user', content: 'Hi' }], max_tokens: maxTokens, stream, ...stream ? { stream_options: { include_usage: true } } : {}
      })
    })
    text = await response.text()
    if (response.status !== 200) throw new Error(`The server has answered ${response.status}: ${text}`)
  } catch (error) {
    if (error instanceof TypeError) return null
    throw error
  }
  const events: unknown[] = stream ? readSse(text) : [JSON.parse(text)]
  if (stream && events.at(-1) !== '[DONE]') return null
  const body = (stream ? events.at(-2) : events[0]) as Body
  if (body.usage == null) throw new Error(`An answer has no usage: ${text}`)
  return { id: body.id, promptTokens: body.usage.prompt_tokens, completionTokens: body.usage.completion_tokens }
}

async function readLedger (database: Database): Promise<Ledger> {
  const store = new UsageStore(database)
  const rows: UsageRow[] = []
  let position: UsagePosition | null = null
  for (;;) {
    const page = await store.read({ from: 0, to: Number.MAX_SAFE_INTEGER }, position, 1000)
    if (page.length === 0) break
    rows.push(...page)
    position = page.at(-1) ?? null
  }
  const [sum] = await database.query('SELECT CAST(SUM(tokens) AS BIGINT) AS spent FROM drawbridge_spending')
  await database.close()
  return { rows, spent: Number(sum?.['spent']) }
}
