import type { Socket } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'
import { type BodyAttempt, hostileBodies, hostileGrammars, hostilePaths, injectingNames, oversizedAttempts, type RawAttempt, smugglingAttempts } from './attempts.ts'
import { openConnection, sendRaw, statusesOf } from './raw-connection.ts'

export interface Target {
  readonly origin: URL
  /** A header line, without its end: `authorization: Bearer …`, or one that says nothing. */
  readonly keyHeader: string
  readonly model: string
  /** How many connections idle at a time. */
  readonly connections: number
  /** How long slow clients go on. */
  readonly slowMs: number
}

/** What came of an attempt. */
export interface Outcome {
  readonly group: string
  readonly name: string
  /** As expected, and the server answered others then. */
  readonly isHarmless: boolean
  readonly text: string
  readonly durationMs: number
  /** How long `/health` took to answer at worst while it was tried. */
  readonly healthMs: number
}

type Attempt = () => Promise<{ readonly isExpected: boolean, readonly text: string }>

const healthPauseMs = 20
const slowClients = 200
const openAtOnce = 100

/** Tries what hostile clients do, one thing after the other, and tells of each as it ends. Whoever runs this may take that server down. */
export async function * tryServer (target: Target): AsyncIterable<Outcome> {
  for (const [group, name, attempt] of attemptsOn(target)) yield await watch(target, group, name, attempt)
}

function * attemptsOn (target: Target): Iterable<readonly [group: string, name: string, attempt: Attempt]> {
  const { origin, model } = target
  for (const path of hostilePaths) {
    const bytes = `GET ${path} HTTP/1.1\r\nhost: HOST\r\nKEY\r\nconnection: close\r\n\r\n`
    yield ['paths', path, async () => await raw(target, { name: path, bytes, statuses: [400, 401, 404] }, /root:.*:0:0:/)]
  }
  for (const name of injectingNames) {
    const body = JSON.stringify({ model: name, prompt: 'x', max_tokens: 1 })
    yield ['headers', JSON.stringify(name), async () => await send(target, { name, path: '/v1/completions', body, statuses: [400, 404] })]
  }
  yield ['headers', 'a request id with a header in it', async () => await raw(
    target, { name: '', bytes: 'GET /health HTTP/1.1\r\nhost: HOST\r\nx-request-id: a\tb set-cookie: c=d\r\nconnection: close\r\n\r\n', statuses: [200] }, /set-cookie/
  )]
  for (const attempt of oversizedAttempts) yield ['sizes', attempt.name, async () => await raw(target, attempt)]
  // Of the request inside nothing may come.
  for (const attempt of smugglingAttempts) yield ['smuggling', attempt.name, async () => await raw(target, attempt, /vllm:|process_cpu/)]
  for (const attempt of hostileBodies(model)) yield ['JSON', attempt.name, async () => await send(target, attempt)]
  for (const attempt of hostileGrammars(model)) yield ['grammars', attempt.name, async () => await send(target, attempt)]
  yield ['slow clients', `${slowClients} that send a header line each second`, async () => await drip(target, 'GET /health HTTP/1.1\r\nhost: x\r\n', 'x: y\r\n')]
  yield ['slow clients', `${slowClients} that send a byte of their body each second`, async () => await drip(
    target, `POST /v1/completions HTTP/1.1\r\nhost: x\r\n${target.keyHeader}\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n{`, ' '
  )]
  yield ['idle clients', `${target.connections} connections, half of them in the middle of a request`, async () => {
    const sockets: Socket[] = []
    try {
      while (sockets.length < target.connections) {
        sockets.push(...await Promise.all(Array.from({ length: Math.min(openAtOnce, target.connections - sockets.length) }, async () => await openConnection(origin))))
      }
      for (const socket of sockets.slice(0, sockets.length / 2)) socket.write('POST /v1/completions HTTP/1.1\r\nhost: x\r\n')
      const { isExpected, text } = await ask(target)
      return { isExpected, text: `${sockets.filter(({ destroyed }) => !destroyed).length} are open; another client: ${text}` }
    } finally {
      for (const socket of sockets) socket.destroy()
    }
  }]
}

/** Tries it, with an eye on whether others are answered meanwhile and after it. */
async function watch (target: Target, group: string, name: string, attempt: Attempt): Promise<Outcome> {
  const startedAt = performance.now()
  let isOver = false
  const health = watchHealth(target.origin, () => isOver)
  let outcome: Awaited<ReturnType<Attempt>>
  try {
    outcome = await attempt()
  } catch (error) {
    outcome = { isExpected: false, text: String(error) }
  }
  isOver = true
  const durationMs = performance.now() - startedAt
  const { worstMs, failure } = await health
  return { group, name, isHarmless: outcome.isExpected && failure === null, text: failure === null ? outcome.text : `${outcome.text}; others: ${failure}`, durationMs, healthMs: worstMs }
}

async function watchHealth (origin: URL, isOver: () => boolean): Promise<{ readonly worstMs: number, readonly failure: string | null }> {
  let worstMs = 0
  for (;;) {
    // Once more at the end.
    const isLast = isOver()
    const askedAt = performance.now()
    try {
      const answer = await sendRaw(origin, 'GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n')
      if (statusesOf(answer)[0] !== 200) return { worstMs, failure: 'no answer from /health' }
    } catch (error) {
      return { worstMs, failure: String(error) }
    }
    worstMs = Math.max(worstMs, performance.now() - askedAt)
    if (isLast) return { worstMs, failure: null }
    await delay(healthPauseMs)
  }
}

async function raw ({ origin, keyHeader }: Target, { bytes, statuses }: RawAttempt, forbidden?: RegExp): ReturnType<Attempt> {
  const answer = await sendRaw(origin, bytes.replaceAll('HOST', origin.host).replaceAll('KEY', keyHeader))
  const got = statusesOf(answer)
  const isLeaking = forbidden?.test(answer) === true
  return { isExpected: got.length === 1 && statuses.includes(got[0] ?? 0) && !isLeaking, text: `${got.join(', ') || 'no answer'}${isLeaking ? ', and what nobody may see' : ''}` }
}

async function send ({ origin, keyHeader }: Target, { path, body, statuses }: BodyAttempt): ReturnType<Attempt> {
  const answer = await sendRaw(origin, `POST ${path} HTTP/1.1\r\nhost: ${origin.host}\r\n${keyHeader}\r\nconnection: close\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`)
  const got = statusesOf(answer)
  const isLeaking = /^set-cookie:/im.test(answer)
  return { isExpected: got.length === 1 && [...statuses, 413].includes(got[0] ?? 0) && !isLeaking, text: `${got.join(', ') || 'no answer'}` }
}

/** A request as anybody has it. */
const ask = async (target: Target): ReturnType<Attempt> => await send(target, {
  name: '', path: '/v1/completions', body: JSON.stringify({ model: target.model, prompt: 'Hi', max_tokens: 2 }), statuses: [200]
})

/** Clients that never come to the end of what they say. */
async function drip (target: Target, start: string, drop: string): ReturnType<Attempt> {
  const sockets = await Promise.all(Array.from({ length: slowClients }, async () => await openConnection(target.origin)))
  try {
    for (const socket of sockets) socket.write(start)
    const end = performance.now() + target.slowMs
    while (performance.now() < end) {
      await delay(Math.min(1000, target.slowMs))
      for (const socket of sockets) if (socket.writable) socket.write(drop)
    }
    const { isExpected, text } = await ask(target)
    return { isExpected, text: `after ${Math.round(target.slowMs / 1000)} s ${sockets.filter(({ destroyed }) => !destroyed).length} are open; another client: ${text}` }
  } finally {
    for (const socket of sockets) socket.destroy()
  }
}
