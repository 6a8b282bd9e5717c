import type { AddressInfo } from 'node:net'
import type { Server as TlsServer } from 'node:tls'
import { setMaxListeners } from 'node:events'
import type { Logger } from 'pino'
import { createConfiguredKeys } from '../access/configured-keys.ts'
import { ReplaceableKeys } from '../access/replaceable-keys.ts'
import { openAdapters, type OpenAdapters } from '../adapters/open-adapters.ts'
import { createPrepareAdapter } from '../adapters/files/prepare-adapter.ts'
import { prepareAny } from '../adapters/prepare-any.ts'
import { StoredKeyCount } from '../access/keys/stored-key-count.ts'
import type { Database } from '../access/storage/database.ts'
import { openDatabase } from '../access/storage/open-database.ts'
import { buildApp } from '../app.ts'
import { createChatTemplate } from '../chat/chat-template.ts'
import { Preparation } from '../chat/preparation/preparation.ts'
import { ThreadCrew } from '../chat/preparation/thread-crew.ts'
import type { LoadedConfig } from '../config/load-config.ts'
import { checkReach } from '../config/check-config.ts'
import { ServerError } from '../domain/errors.ts'
import { StartupError } from '../domain/startup-error.ts'
import { applyConnectionSettings } from '../http/apply-connection-settings.ts'
import { Lifecycle } from '../http/lifecycle.ts'
import { answerLengthOf } from '../models/answer-length-of.ts'
import { prepareCacheParking } from '../models/cache-parking.ts'
import { createModelCatalogue } from '../models/catalogue.ts'
import { inspectMachine } from '../models/machine.ts'
import { prepareModels } from '../models/prepare-models.ts'
import type { ProcessHost } from '../models/process-host.ts'
import { createLogger } from '../telemetry/logging.ts'
import { LogOutput } from '../telemetry/log-output.ts'
import { announce } from './announce.ts'
import { createHost } from './create-host.ts'
import { dieOfUncaughtErrors } from './die-of-uncaught-errors.ts'
import { type HangUps, listenForHangUps } from './hang-ups.ts'
import { inheritedSocket } from './inherited-socket.ts'
import { describeListenError } from './listen-error.ts'
import { notifyServiceManager } from './notify-service-manager.ts'
import { openTelemetry } from './open-telemetry.ts'
import { Reload } from './reload.ts'
import { reachableOrigins } from './reachable-origins.ts'
import { schedulingLimits } from './scheduling-limits.ts'
import { drain, waitForSignal } from './shutdown.ts'
import { openTlsFiles } from './tls-files.ts'
import { readVersion } from './version.ts'

type App = Awaited<ReturnType<typeof buildApp>>

/**
 * Serves until a signal ends it. It listens while the models load, so that `/health` and `/ready` can tell.
 * @param load reads the settings again, when SIGHUP asks for it.
 * @returns the exit code.
 * @throws StartupError when it cannot start.
 */
export async function serve (loaded: LoadedConfig, load: () => LoadedConfig): Promise<number> {
  process.title = 'drawbridge'
  const socket = inheritedSocket(process.env)
  const { config, origins, warnings } = reachedBy(socket, loaded)
  const sourceOf = (flag: string): string => origins.get(flag) ?? `--${flag}`
  const isTerminal = process.stdout.isTTY
  const isColoured = isTerminal && process.env['NO_COLOR'] === undefined
  const output = new LogOutput(1)
  const logger = createLogger({ level: config.logLevel, format: config.logFormat, isTerminal, isColoured }, output)
  for (const warning of warnings) logger.warn({}, warning)

  const isService = !isTerminal && !process.stdin.isTTY
  const hangUps = isService ? listenForHangUps() : null
  try {
    const database = await openDatabase({ config, logger, sourceOf, environment: process.env })
    try {
      const storedKeys = new StoredKeyCount(database)
      await storedKeys.update()
      checkReach(config, storedKeys.count > 0, sourceOf)
      return await serveModels({ config, socket, sourceOf, load: () => reachedBy(socket, load()), database, storedKeys, hangUps, isTerminal, isColoured, output, logger })
    } finally {
      await database?.close()
    }
  } finally {
    hangUps?.dispose()
  }
}

/** Where systemd listens is not known here, so whoever reaches its socket may be anybody. */
const reachedBy = (socket: number | null, loaded: LoadedConfig): LoadedConfig => socket === null
  ? loaded
  : { ...loaded, config: { ...loaded.config, host: '0.0.0.0' }, origins: new Map(loaded.origins).set('host', 'the socket of systemd') }

interface Surroundings {
  readonly config: LoadedConfig['config']
  /** The descriptor of a socket that systemd listens on; null where the server does. */
  readonly socket: number | null
  readonly sourceOf: (flag: string) => string
  readonly load: () => LoadedConfig
  readonly database: Database | null
  readonly storedKeys: StoredKeyCount
  /** Null in a terminal, where SIGHUP ends the server. */
  readonly hangUps: HangUps | null
  readonly isTerminal: boolean
  readonly isColoured: boolean
  readonly output: LogOutput
  readonly logger: Logger
}

async function serveModels ({ config, socket, sourceOf, load, database, storedKeys, hangUps, isTerminal, isColoured, output, logger }: Surroundings): Promise<number> {
  const telemetry = await openTelemetry(config, sourceOf, logger)
  const tls = openTlsFiles(config, { sourceOf, logger })
  const machine = await inspectMachine({ withGpu: config.gpu === 'auto' || config.gpu === 'cuda' })
  const models = await prepareModels(config, machine, sourceOf)
  const takenBytes = models.reduce((sum, { capacity }) => sum + (capacity.estimate?.totalBytes ?? 0), 0)
  const parking = await prepareCacheParking(config, models.length, machine.availableBytes - takenBytes, sourceOf)

  for (const { id, root, draft, capacity } of models) {
    const { laneCount, slotsPerLane, contextSize, threads, estimate } = capacity
    logger.info({ model: id, root, draftModel: draft?.root, slots: laneCount * slotsPerLane, contextSize, threads, estimatedBytes: estimate?.totalBytes }, 'loading model')
  }

  // From here on there are processes to end.
  const signals = waitForSignal(hangUps === null)
  const hosts = models.map((model, index) => createHost(model, config, logger, parking.bytes, parking.directoryOf(index)))
  const lifecycle = new Lifecycle()
  const preparation = new Preparation(new ThreadCrew())
  /** What requests are held to; SIGHUP changes it. */
  const live = { ...config }
  let app: App | null = null
  let adapters: OpenAdapters | null = null
  try {
    dieOfUncaughtErrors(logger, output)
    const catalogue = createModelCatalogue(hosts)
    adapters = openAdapters({
      config: live,
      catalogue,
      models: hosts.map((host, index) => ({
        host, paths: models[index]?.paths ?? [], prepare: models[index]?.file === null ? prepareAny : createPrepareAdapter()
      })),
      logger: {
        info: (details, message) => logger.info(details, message),
        warn: (details, message) => logger.warn(details, message)
      },
      sourceOf,
      environment: process.env
    })
    checkChatTemplates(config, sourceOf)
    const { configured } = await adapters.start()
    const staticKeys = new ReplaceableKeys(createConfiguredKeys(config))
    app = await buildApp({
      config: live,
      staticKeys,
      catalogue,
      adapters: adapters.library,
      lifecycle,
      preparation,
      logger,
      version: readVersion(),
      ...telemetry.parts,
      ...(database === null ? {} : { database }),
      ...(tls === null ? {} : { tls: tls.pair, certificateEnd: () => tls.endsAt })
    })
    const { server } = app
    tls?.watch((pair) => (server as unknown as TlsServer).setSecureContext(pair))
    if (socket === null) await listen(app, config, sourceOf)
    const { check, reconfigure } = adapters
    const reload = new Reload({
      load,
      live,
      hasStoredKeys: () => storedKeys.count > 0,
      check: (next) => {
        checkChatTemplates(next, sourceOf)
        check(next.adapters)
      },
      apply: (next, changed) => {
        if (changed.has('logLevel')) logger.level = next.logLevel
        staticKeys.replace(createConfiguredKeys(next))
        applyConnectionSettings(server, next)
        for (const [index, host] of hosts.entries()) {
          host.inference.limit(schedulingLimits(next))
          host.limitAnswers(answerLengthOf(next.models[index] ?? {}, next))
        }
        // What one of them waits for must not keep a key that was taken away alive.
        reconfigure(next.adapters).catch((error: unknown) => logger.error({ err: error }, 'adapters cannot be configured anew'))
      },
      rereadFiles: () => tls?.reload(),
      logger
    })
    hangUps?.handle(async () => {
      await storedKeys.update().catch((error: unknown) => logger.warn({ err: error }, 'the keys in the database cannot be counted'))
      reload.run()
    })

    const isReady = await untilReadyOrSignal(hosts, configured, signals.first)
    // Until then other processes take the connections, or they wait.
    if (isReady && socket !== null) await listenOn(app, socket)
    if (isReady) {
      const urls = reachableOrigins(config.host, (app.server.address() as AddressInfo).port, tls === null ? 'http' : 'https')
      announce({ config, urls, models, hosts, adapters: adapters.library, storedKeyCount: storedKeys.count, logger, output, isTerminal, isColoured })
      await notifyServiceManager(process.env, logger)
    }
    const signal = await signals.first
    const { drainTimeoutMs } = live
    logger.info({ signal, drainTimeoutMs }, 'draining')
    await drain({ lifecycle, isHandingOver: socket !== null, hosts, app, drainTimeoutMs, second: signals.second, logger })
    logger.info({}, 'stopped')
    return 0
  } catch (error) {
    await Promise.allSettled(hosts.map((host) => host.destroy(new ServerError('server_draining', 'The server could not start'))))
    const closing = app?.close()
    app?.server.closeAllConnections()
    await closing
    throw error
  } finally {
    tls?.close()
    await preparation.close()
    await adapters?.close()
    await telemetry.close()
    await parking.dispose()
    signals.dispose()
  }
}

/** @throws StartupError when an adapter's template is none */
function checkChatTemplates ({ adapters }: LoadedConfig['config'], sourceOf: (flag: string) => string): void {
  for (const { name, chatTemplate } of adapters) {
    if (chatTemplate === null) continue
    try {
      createChatTemplate({ chatTemplate, bosText: '', eosText: '', controlTexts: [] })
    } catch (error) {
      throw new StartupError(`The chat template of the adapter "${name}" (${sourceOf('adapter')}) cannot be read: ${(error as Error).message}`, { cause: error })
    }
  }
}

async function listen (app: App, { host, port }: LoadedConfig['config'], sourceOf: (flag: string) => string): Promise<void> {
  try {
    await app.listen({ host: host.replace(/^\[(.*)\]$/, '$1'), port })
  } catch (error) {
    throw describeListenError(error, { host, port, hostSource: sourceOf('host'), portSource: sourceOf('port') })
  }
}

/** @throws StartupError when it is no socket of the network */
async function listenOn (app: App, socket: number): Promise<void> {
  // The address is that of the socket, whatever is said here; without any, Fastify would look for a second one. Of descriptors its types know nothing.
  const place = { fd: socket, host: '0.0.0.0' }
  try {
    await app.listen(place)
  } catch (error) {
    throw new StartupError(`The socket that systemd passes cannot be used: ${(error as Error).message}`, { cause: error })
  }
  if (typeof app.server.address() === 'string') throw new StartupError('The socket that systemd passes is a file; the server takes one of the network (ListenStream= with a port)')
}

/**
 * @returns false when a signal came first.
 * @throws StartupError when a model or a configured adapter cannot be loaded.
 */
async function untilReadyOrSignal (hosts: readonly ProcessHost[], adapters: Promise<void>, signal: Promise<NodeJS.Signals>): Promise<boolean> {
  const waiting = new AbortController()
  setMaxListeners(0, waiting.signal)
  const ready = Promise.all(hosts.map(async (host) => {
    try {
      await host.ready(waiting.signal)
    } catch (error) {
      if (waiting.signal.aborted) return
      throw new StartupError(`The model ${host.id} (${host.root}) could not be loaded: ${(error as Error).message}`, { cause: error })
    }
  }))
  try {
    // Why a model cannot be loaded says more than that its adapters cannot.
    return await Promise.race([ready.then(async () => await adapters).then(() => true), signal.then(() => false)])
  } finally {
    waiting.abort()
  }
}
