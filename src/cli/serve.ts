import type { AddressInfo } from 'node:net'
import type { Server as TlsServer } from 'node:tls'
import { setMaxListeners } from 'node:events'
import { availableParallelism } from 'node:os'
import type { Logger } from 'pino'
import { createConfiguredKeys } from '../access/configured-keys.ts'
import { ReplaceableKeys } from '../access/replaceable-keys.ts'
import type { AdapterLibrary } from '../adapters/adapter-library.ts'
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
import { checkReach, isLoopback } from '../config/check-config.ts'
import { ServerError } from '../domain/errors.ts'
import { StartupError } from '../domain/startup-error.ts'
import { threadPoolSize } from '../engine/llama-cpp/thread-pool-size.ts'
import { Lifecycle } from '../http/lifecycle.ts'
import { prepareCacheParking } from '../models/cache-parking.ts'
import { createModelCatalogue } from '../models/catalogue.ts'
import { inspectMachine } from '../models/machine.ts'
import { type PreparedModel, prepareModels } from '../models/prepare-models.ts'
import { createProcessHost, type ProcessHost } from '../models/process-host.ts'
import { createLogger } from '../telemetry/logging.ts'
import { LogOutput } from '../telemetry/log-output.ts'
import { type HangUps, listenForHangUps } from './hang-ups.ts'
import { describeListenError } from './listen-error.ts'
import { openTelemetry } from './open-telemetry.ts'
import { Reload } from './reload.ts'
import { reachableOrigins } from './reachable-origins.ts'
import { drain, waitForSignal } from './shutdown.ts'
import { openTlsFiles } from './tls-files.ts'
import { startScreen } from './start-screen.ts'
import { readVersion } from './version.ts'

type App = Awaited<ReturnType<typeof buildApp>>

/** Far more than any step takes: 512 prompt tokens of a 70B model on a few cores are minutes. */
const stallTimeoutMs = 300_000

/** What the words of `--speculate` come to, without and with a draft model. */
const mostGuesses = { off: [0, 0], auto: [15, 15], draft: [0, 15] } as const

/**
 * Serves until a signal ends it. It listens while the models load, so that `/health` and `/ready` can tell.
 * @param load reads the settings again, when SIGHUP asks for it.
 * @returns the exit code.
 * @throws StartupError when it cannot start.
 */
export async function serve ({ config, origins, warnings }: LoadedConfig, load: () => LoadedConfig): Promise<number> {
  process.title = 'drawbridge'
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
      return await serveModels({ config, sourceOf, load, database, storedKeys, hangUps, isTerminal, isColoured, output, logger })
    } finally {
      await database?.close()
    }
  } finally {
    hangUps?.dispose()
  }
}

interface Surroundings {
  readonly config: LoadedConfig['config']
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

async function serveModels ({ config, sourceOf, load, database, storedKeys, hangUps, isTerminal, isColoured, output, logger }: Surroundings): Promise<number> {
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
  let app: App | null = null
  let adapters: OpenAdapters | null = null
  try {
    dieOfUncaughtErrors(logger, output)
    const catalogue = createModelCatalogue(hosts)
    adapters = openAdapters({
      config,
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
    const live = { ...config }
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
      ...(tls === null ? {} : { tls: tls.pair })
    })
    const { server } = app
    tls?.watch((pair) => (server as unknown as TlsServer).setSecureContext(pair))
    await listen(app, config, sourceOf)
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
    const urls = reachableOrigins(config.host, (app.server.address() as AddressInfo).port, tls === null ? 'http' : 'https')

    const isReady = await untilReadyOrSignal(hosts, configured, signals.first)
    if (isReady) announce({ config, urls, models, hosts, adapters: adapters.library, storedKeyCount: storedKeys.count, logger, output, isTerminal, isColoured })
    const signal = await signals.first
    const { drainTimeoutMs } = live
    logger.info({ signal, drainTimeoutMs }, 'draining')
    await drain({ lifecycle, hosts, app, drainTimeoutMs, second: signals.second, logger })
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

function createHost (
  { id, root, draft, engine, capacity, toolDialect, answerLength }: PreparedModel, config: LoadedConfig['config'], logger: Logger, parkBytes: number, parkDirectory: string | null
): ProcessHost {
  return createProcessHost({
    id,
    root,
    toolDialect,
    answerLength,
    createdAt: Math.floor(Date.now() / 1000),
    spec: engine.backend === 'llama-cpp' && parkDirectory !== null
      ? { ...engine, options: { ...engine.options, parkDirectory } }
      : engine,
    scheduling: {
      maxQueue: config.maxQueue,
      ...(config.maxQueuePerTenant === 'off' ? {} : { maxQueuePerTenant: config.maxQueuePerTenant }),
      ...(config.maxQueueTokens === 'off' ? {} : { maxQueueTokens: config.maxQueueTokens }),
      policy: config.policy,
      targetItlMs: config.targetItlMs,
      mostGuesses: typeof config.speculate === 'number' ? config.speculate : mostGuesses[config.speculate][draft === null ? 0 : 1],
      parkBytes
    },
    queueTimeoutMs: config.queueTimeoutMs,
    stallTimeoutMs,
    threadPoolSize: threadPoolSize(engine.options.laneCount ?? 1, { isOnGpu: capacity.isOnGpu, cores: availableParallelism() }),
    logger: {
      trace: (details, message) => logger.trace(details, message),
      debug: (details, message) => logger.debug(details, message),
      info: (details, message) => logger.info(details, message),
      warn: (details, message) => logger.warn(details, message),
      error: (details, message) => logger.error(details, message)
    },
    logLevel: config.logLevel === 'fatal' ? 'silent' : config.logLevel
  })
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

interface Announcement {
  readonly config: LoadedConfig['config']
  readonly urls: readonly string[]
  readonly models: readonly PreparedModel[]
  readonly hosts: readonly ProcessHost[]
  readonly adapters: AdapterLibrary
  readonly storedKeyCount: number
  readonly logger: Logger
  readonly output: LogOutput
  readonly isTerminal: boolean
  readonly isColoured: boolean
}

/** A screen for people; for programs that read the log, the same facts in it. */
function announce ({ config, urls, models, hosts, adapters, storedKeyCount, logger, output, isTerminal, isColoured }: Announcement): void {
  const started = hosts.flatMap((host, index) => host.info === null ? [] : [{ id: host.id, info: host.info, quantization: models[index]?.file?.quantization ?? null }])
  const isScreenWanted = config.logLevel !== 'silent' && (config.logFormat === 'pretty' || (config.logFormat === 'auto' && isTerminal))
  if (!isScreenWanted) {
    logger.info({
      url: `${urls[0]}/v1`,
      models: started.map(({ id, info }) => ({
        id,
        architecture: info.model.architecture,
        parameters: info.model.parameterCount,
        sizeBytes: info.model.sizeBytes,
        slots: info.laneCount * info.slotsPerLane,
        lanes: info.laneCount,
        contextSize: info.contextSize,
        threads: info.threads,
        flashAttention: info.flashAttention,
        placement: info.placement,
        draftModel: info.draftModel?.name,
        build: info.build
      }))
    }, 'ready')
    return
  }
  output.write(startScreen({
    version: readVersion(),
    origins: urls,
    models: started,
    adapters: adapters.list().filter(({ state }) => state !== 'failed' && state !== 'draining').map((adapter) => adapters.idOf(adapter)),
    keyCount: config.tenants.reduce((sum, { keys }) => sum + keys.length, config.apiKeys.length + config.adminKeys.length + storedKeyCount),
    isPublic: !isLoopback(config.host),
    command: process.env['npm_lifecycle_event'] === 'start' ? 'npm start --' : 'drawbridge',
    isColoured
  }))
}

/** For the log's last line to be written. */
const lastLineMs = 1000

/** What nobody caught may have left anything half done. Engine processes end with this one. */
function dieOfUncaughtErrors (logger: Logger, output: LogOutput): void {
  const die = (error: unknown): void => {
    logger.fatal({ err: error }, 'uncaught error')
    output.settle(lastLineMs).then(() => process.exit(1), () => process.exit(1))
  }
  process.on('uncaughtException', die)
  process.on('unhandledRejection', die)
}
