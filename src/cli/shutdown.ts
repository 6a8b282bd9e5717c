import type { ModelHost } from '../models/model-host.ts'
import { setTimeout as delay } from 'node:timers/promises'
import { ServerError } from '../domain/errors.ts'

export interface Signals {
  /** The first SIGTERM, SIGINT or, where it ends the server, SIGHUP. */
  readonly first: Promise<NodeJS.Signals>
  /** One more of them, later: whoever sends it does not want to wait. */
  readonly second: Promise<NodeJS.Signals>
  /** Leaves signals to Node again. */
  dispose (): void
}

interface SignalSource {
  on (signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown
  off (signal: NodeJS.Signals, listener: (signal: NodeJS.Signals) => void): unknown
}

/**
 * The same Ctrl+C arrives twice under `npm start` (from the terminal, and passed on by npm), and so does a SIGTERM that is
 * sent to a process group and its members. Nobody changes their mind within this time.
 */
const echoMs = 500

/**
 * Listens for the signals that ask a process to end.
 * @param endsOnHangUp whether SIGHUP is one of them: it says that the terminal was closed, or, to a service, to read its settings again.
 */
export function waitForSignal (endsOnHangUp: boolean, source: SignalSource = process, now: () => number = () => performance.now()): Signals {
  const endSignals: readonly NodeJS.Signals[] = ['SIGTERM', 'SIGINT', ...endsOnHangUp ? ['SIGHUP' as const] : []]
  const waiting: ((signal: NodeJS.Signals) => void)[] = []
  const next = (): Promise<NodeJS.Signals> => new Promise((resolve) => { waiting.push(resolve) })
  const first = next()
  const second = next()
  let firstAt = -Infinity
  const hear = (signal: NodeJS.Signals): void => {
    const isEcho = now() - firstAt < echoMs
    if (isEcho) return
    if (firstAt === -Infinity) firstAt = now()
    waiting.shift()?.(signal)
  }
  for (const signal of endSignals) source.on(signal, hear)
  return {
    first,
    second,
    dispose () {
      for (const signal of endSignals) source.off(signal, hear)
    }
  }
}

export interface DrainOptions {
  /** Told first: `/ready` says no before anything is refused by a model. */
  readonly lifecycle: { startDraining (): void, handOver (): Promise<void> }
  /** Whether others take connections from the same socket: nothing that comes here is refused then. */
  readonly isHandingOver: boolean
  readonly hosts: readonly Pick<ModelHost, 'close' | 'destroy'>[]
  /** The HTTP server; closed last, so that `/ready` can say that it drains. */
  readonly app: { close (): PromiseLike<unknown>, readonly server: { closeAllConnections (): void } }
  readonly drainTimeoutMs: number
  /** Ends the waiting at once. */
  readonly second: Promise<NodeJS.Signals>
  readonly logger: { warn (details: object, message: string): void }
}

/** For the error that ends a stream to reach its client. */
const lastWordsMs = 500

/**
 * Ends a server in good order: new requests are refused, running ones may finish until the time is up or a second signal
 * comes, then they end with an error. Connections that are still open after that are cut.
 */
export async function drain ({ lifecycle, isHandingOver, hosts, app, drainTimeoutMs, second, logger }: DrainOptions): Promise<void> {
  const handedOver = isHandingOver ? lifecycle.handOver() : null
  if (handedOver === null) lifecycle.startDraining()
  const timer = new AbortController()
  const tooLong = Promise.race([
    delay(drainTimeoutMs, 'the time for running requests is up', { signal: timer.signal }).catch(() => 'the server is closed'),
    second.then((signal) => `a second signal came (${signal})`)
  ])
  const closeHosts = async (): Promise<unknown> => await Promise.all(hosts.map(async (host) => await host.close()))
  const finished = handedOver === null ? closeHosts() : handedOver.then(closeHosts)
  // Whoever gives up on them first says so; that closing fails then is no news.
  finished.catch(() => {})
  const why = await Promise.race([finished.then(() => null), tooLong])
  if (why !== null) {
    logger.warn({ reason: why }, 'ending running requests')
    const error = new ServerError('server_draining', `The server shuts down: ${why}`)
    await Promise.allSettled(hosts.map((host) => host.destroy(error)))
  }
  const closing = Promise.resolve(app.close())
  // Clients that have sent half a request, or do not read their answer, have no more time than the rest.
  const isLate = await Promise.race([closing.then(() => false), tooLong.then(() => true)])
  if (isLate) {
    await Promise.race([closing, delay(why === null ? 0 : lastWordsMs, null, { ref: false })])
    app.server.closeAllConnections()
  }
  timer.abort()
  await closing
}
