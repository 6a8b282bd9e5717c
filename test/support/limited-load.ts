import { setTimeout as delay } from 'node:timers/promises'
import type { ServerProcess } from './server-process.ts'

/** Makes a key with limits, by a server whose admin key is `root`. */
export async function createLimitedKey ({ origin }: Pick<ServerProcess, 'origin'>, limits: object): Promise<{ readonly secret: string, readonly id: string }> {
  const response = await fetch(`${origin}/v1/admin/keys`, {
    method: 'POST', headers: { 'content-type': 'application/json', authorization: 'Bearer root' }, body: JSON.stringify({ owner: 'load', limits })
  })
  const { id, key } = await response.json() as { id: string, key: string }
  return { id, secret: key }
}

export interface LimitedLoad {
  readonly letIn: number
  readonly byServer: readonly number[]
  readonly refused: number
  /** Least and most that can have passed between what was let in first and what was refused last, as clients see it. */
  readonly elapsedMs: { readonly least: number, readonly most: number }
}

const clientsOfEach = 8

/** Asks all servers at once, as clients that come back too early, for so long and until each is refused. */
export async function askUntilRefused (servers: readonly Pick<ServerProcess, 'origin'>[], secret: string, durationMs: number): Promise<LimitedLoad> {
  const byServer = servers.map(() => 0)
  let refused = 0
  const start = performance.now()
  let firstAnswerAt = Infinity
  const last = { sentAt: start, answeredAt: start }
  await Promise.all(servers.flatMap(({ origin }, index) => Array.from({ length: clientsOfEach }, async () => {
    for (;;) {
      const sentAt = performance.now()
      const response = await fetch(`${origin}/v1/chat/completions`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${secret}` },
        body: JSON.stringify({ model: 'fake', messages: [{ role: 'user', content: 'Hi' }], max_tokens: 1 })
      })
      await response.text()
      firstAnswerAt = Math.min(firstAnswerAt, performance.now())
      if (response.status === 200) byServer[index]! += 1
      else if (response.status !== 429) throw new Error(`The server has answered ${response.status}`)
      else {
        refused++
        last.sentAt = Math.max(last.sentAt, sentAt)
        last.answeredAt = performance.now()
        if (performance.now() - start > durationMs) return
        await delay(Math.min(20, Number(response.headers.get('retry-after-ms'))))
      }
    }
  })))
  return { letIn: byServer.reduce((sum, part) => sum + part, 0), byServer, refused, elapsedMs: { least: last.sentAt - firstAnswerAt, most: last.answeredAt - start } }
}
