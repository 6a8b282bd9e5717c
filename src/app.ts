import { randomInt } from 'node:crypto'
import type { Server as HttpsServer } from 'node:https'
import cors from '@fastify/cors'
import Fastify, { LogController, type FastifyBaseLogger, type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import { AdapterLibrary } from './adapters/adapter-library.ts'
import { createAccess } from './access/access.ts'
import { createConfiguredKeys } from './access/configured-keys.ts'
import { KeyRing } from './access/keys/key-ring.ts'
import { KeyStore } from './access/keys/key-store.ts'
import { createManagedKeys, type ManagedKeys } from './access/keys/managed-keys.ts'
import { DatabaseLimitStore } from './access/limits/database-limit-store.ts'
import { Limiter } from './access/limits/limiter.ts'
import { MemoryLimitStore } from './access/limits/memory-limit-store.ts'
import { OwnerLimits } from './access/limits/owner-limits.ts'
import type { StaticKeys } from './access/static-keys.ts'
import { UsageLedger } from './access/usage/usage-ledger.ts'
import { UsageReader } from './access/usage/usage-reader.ts'
import { UsageStore } from './access/usage/usage-store.ts'
import type { Database } from './access/storage/database.ts'
import { WatchedDatabase } from './access/storage/watched-database.ts'
import { createChatTemplates } from './chat/chat-templates.ts'
import { Preparation } from './chat/preparation/preparation.ts'
import type { Config } from './config/config.ts'
import type { Millis } from './domain/ids.ts'
import { accessPlugin } from './http/plugins/access.ts'
import { answerMalformedHttp, errorsPlugin, toClientError } from './http/plugins/errors.ts'
import { exchangePlugin } from './http/plugins/exchange.ts'
import { drainingPlugin } from './http/plugins/draining.ts'
import { closeIdlePlugin } from './http/plugins/close-idle.ts'
import { documentationPlugin } from './http/plugins/documentation.ts'
import { connectionLimitPlugin } from './http/plugins/connection-limit.ts'
import { jsonBodyPlugin } from './http/plugins/json-body.ts'
import { createMethodRefusals } from './http/plugins/methods.ts'
import { rateHeaderNames } from './http/rate-headers.ts'
import { requestIdOf } from './http/plugins/request-id.ts'
import { securityHeadersPlugin } from './http/plugins/security-headers.ts'
import { uploadsPlugin } from './http/plugins/uploads.ts'
import { type BatchService, createBatchService } from './http/batches/batch-service.ts'
import { InternalRequests } from './http/internal-requests.ts'
import { Lifecycle } from './http/lifecycle.ts'
import { toErrorBody } from './http/error-response.ts'
import { BackgroundRuns } from './http/responses/background-runs.ts'
import { MemoryResponseStore } from './http/responses/memory-response-store.ts'
import { adminKeysRoute } from './http/routes/admin-keys.ts'
import { batchesRoute } from './http/routes/batches.ts'
import { filesRoute } from './http/routes/files.ts'
import { adaptersRoute } from './http/routes/adapters.ts'
import { chatCompletionsRoute } from './http/routes/chat-completions.ts'
import { countMessageTokensRoute } from './http/routes/count-message-tokens.ts'
import { completionsRoute } from './http/routes/completions.ts'
import { detokenizeRoute } from './http/routes/detokenize.ts'
import { embeddingsRoute } from './http/routes/embeddings.ts'
import { healthRoute } from './http/routes/health.ts'
import { limitsRoute } from './http/routes/limits.ts'
import { loadLoraAdapterRoute } from './http/routes/load-lora-adapter.ts'
import { loraAdaptersRoute } from './http/routes/lora-adapters.ts'
import { messagesRoute } from './http/routes/messages.ts'
import { metricsRoute } from './http/routes/metrics.ts'
import { modelRoute } from './http/routes/model.ts'
import { modelsRoute } from './http/routes/models.ts'
import { readyRoute } from './http/routes/ready.ts'
import { conversationItemsRoute } from './http/routes/conversation-items.ts'
import { conversationsRoute } from './http/routes/conversations.ts'
import { responseRoute } from './http/routes/response.ts'
import { responseInputTokensRoute } from './http/routes/response-input-tokens.ts'
import { responsesRoute } from './http/routes/responses.ts'
import { rerankRoute } from './http/routes/rerank.ts'
import { rootRoute } from './http/routes/root.ts'
import { tokenizeRoute } from './http/routes/tokenize.ts'
import { usageRoute } from './http/routes/usage.ts'
import type { HttpConfig, HttpServices } from './http/services.ts'
import type { ModelCatalogue } from './models/catalogue.ts'
import { createAuditLog } from './telemetry/audit-log.ts'
import type { LineSink } from './telemetry/line-file.ts'
import { createRequestLog } from './telemetry/logging.ts'
import { createMetrics, type Metrics } from './telemetry/metrics.ts'
import { createFanOut } from './telemetry/observer.ts'
import { noTracing, type Tracing } from './telemetry/tracing.ts'

/** What the server is made of. The caller creates the models and closes them; the app only asks them. */
export interface AppParts {
  readonly config: HttpConfig & Pick<Config, 'adminKeys' | 'apiKeys' | 'tenants'>
  readonly catalogue: ModelCatalogue
  /** Without it, models take no adapters. */
  readonly adapters?: AdapterLibrary
  /** Without it, there are no keys but those of the config, and nobody knows what was used. The caller closes it after the app. */
  readonly database?: Database
  readonly logger: FastifyBaseLogger
  /** Without them, those of the config. */
  readonly staticKeys?: StaticKeys
  /** Told by whoever ends the server. */
  readonly lifecycle?: Lifecycle
  /** PEM; without it, the server speaks plain HTTP. */
  readonly tls?: { readonly cert: Buffer, readonly key: Buffer }
  /** When its certificate ends, in milliseconds since 1970: another one may take its place. */
  readonly certificateEnd?: () => number
  /** Of the server, for its documentation. */
  readonly version?: string
  readonly metrics?: Metrics
  /** Without it, no traces are recorded. The caller closes it after the app. */
  readonly tracing?: Tracing
  /** Without it, prompts and grammars are made where requests are read. The caller closes it after the app. */
  readonly preparation?: Preparation
  /** Takes the lines of the audit log. */
  readonly auditLog?: LineSink
  /** Takes prompts and answers. */
  readonly promptLog?: LineSink
  /** Monotonic clock in milliseconds. */
  readonly now?: () => Millis
  /** Unsigned 32-bit, for requests without a seed. */
  readonly randomSeed?: () => number
  readonly maxStreamBufferBytes?: number
  /** Is told of each route that there is, once for each method. */
  readonly onRoute?: (method: string, url: string) => void
}

const mebibyte = 1024 * 1024

/** Time in which a request's head and body must arrive. Answers may take as long as they like. */
const headersTimeoutMs = 60_000
const requestTimeoutMs = 300_000
const handshakeTimeoutMs = 10_000

const sweepIntervalMs = 60_000

/** Builds the HTTP server; `listen` starts it, `close` lets running answers finish. */
export async function buildApp (parts: AppParts): Promise<FastifyInstance> {
  const { config, catalogue, logger } = parts
  const adapters = parts.adapters ?? new AdapterLibrary({ catalogue, registries: [], resolveReference: (reference) => reference })
  const lifecycle = parts.lifecycle ?? new Lifecycle()
  const database = parts.database === undefined ? null : new WatchedDatabase(parts.database)
  const usage = database === null || config.usage === 'off' ? null : openUsage(database, config, logger)
  const metrics = parts.metrics ?? createMetrics(() => catalogue.hosts, adapters, {
    isDraining: () => lifecycle.isDraining || lifecycle.isHandingOver,
    database,
    lostUsageRows: () => usage?.ledger.lostCount ?? null,
    certificateEnd: () => parts.certificateEnd === undefined ? null : parts.certificateEnd() / 1000
  })
  const now = parts.now ?? (() => performance.now())
  const stored = database === null ? null : openKeys(database, logger, now)
  const limitStore = database === null ? new MemoryLimitStore(() => config.prices) : new DatabaseLimitStore(database, () => config.prices)
  const base: Omit<HttpServices, 'batches'> = {
    config,
    catalogue,
    adapters,
    logger,
    metrics,
    access: createAccess(parts.staticKeys ?? createConfiguredKeys(config), stored?.ring ?? null, () => config.limits),
    limiter: new Limiter({ store: limitStore, logger, now }),
    keys: stored?.keys ?? null,
    lifecycle,
    internalRequests: new InternalRequests(),
    usage,
    chatTemplates: createChatTemplates(({ name, architecture }) => {
      logger.warn({ modelName: name, architecture }, 'the model has no chat template; a plain transcript is used')
    }),
    preparation: parts.preparation ?? new Preparation(null),
    responseStore: new MemoryResponseStore({
      get maxBytes () { return config.responseStore === 'off' ? 0 : config.responseStore },
      get maxCount () { return config.maxResponses },
      get ttlMs () { return config.responseTtlMs },
      now
    }),
    backgroundRuns: new BackgroundRuns(),
    observer: createFanOut([createRequestLog(logger), metrics, ...(parts.auditLog === undefined ? [] : [createAuditLog(parts.auditLog)])]),
    promptLog: parts.promptLog ?? null,
    tracing: parts.tracing ?? noTracing,
    now,
    randomSeed: parts.randomSeed ?? (() => randomInt(2 ** 32)),
    maxStreamBufferBytes: parts.maxStreamBufferBytes ?? mebibyte
  }
  const batches: BatchService | null = database === null || config.batches === 'off' ? null : createBatchService({ database, services: base })
  const services: HttpServices = { ...base, batches }

  const connections = { headersTimeout: headersTimeoutMs, maxHeaderSize: config.headerLimit }
  const options = {
    loggerInstance: logger,
    // One line per request comes from telemetry.
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: requestIdOf,
    bodyLimit: config.bodyLimit,
    requestTimeout: requestTimeoutMs,
    http: connections,
    // The draining plugin refuses requests, in the shape that clients know.
    return503OnClosing: false,
    routerOptions: { maxParamLength: 1024, ignoreTrailingSlash: true },
    clientErrorHandler: answerMalformedHttp,
    frameworkErrors: (thrown: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
      const error = toClientError(thrown, config.bodyLimit)
      reply.hijack()
      reply.raw
        .writeHead(error.status, { 'x-request-id': request.id, 'content-type': 'application/json; charset=utf-8' })
        .end(JSON.stringify(toErrorBody(error)))
    }
  }
  // Routes and plugins do not care which of the two it is.
  const app = parts.tls === undefined
    ? Fastify(options)
    : Fastify<HttpsServer>({ ...options, https: { ...connections, ...parts.tls, handshakeTimeout: handshakeTimeoutMs } }) as unknown as FastifyInstance
  const { onRoute } = parts
  if (onRoute !== undefined) {
    app.addHook('onRoute', ({ method, url, config: { isRefusal = false } = {} }) => {
      if (!isRefusal) for (const name of [method].flat()) onRoute(name, url)
    })
  }
  const methods = createMethodRefusals(app)
  // What has expired goes even if nobody asks for anything.
  const sweeping = setInterval(() => {
    services.responseStore.sweep()
    services.usage?.ledger.sweep().catch(() => {})
    batches?.sweep().catch(() => {})
    services.limiter.sweep().catch(() => {})
  }, sweepIntervalMs).unref()
  app.addHook('preClose', async () => await batches?.close())
  app.addHook('onClose', async () => {
    clearInterval(sweeping)
    await services.usage?.ledger.close()
    await services.limiter.close()
  })

  await app.register(closeIdlePlugin, services)
  await app.register(connectionLimitPlugin, services)
  await app.register(exchangePlugin, services)
  await app.register(securityHeadersPlugin)
  await app.register(errorsPlugin, services)
  await app.register(jsonBodyPlugin)
  if (config.corsOrigins.length > 0) {
    await app.register(cors, {
      origin: config.corsOrigins.includes('*') ? '*' : [...config.corsOrigins],
      methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
      exposedHeaders: ['x-request-id', 'request-id', 'retry-after', 'retry-after-ms', 'x-should-retry', ...rateHeaderNames],
      maxAge: 600
    })
  }
  await app.register(drainingPlugin, services)
  await app.register(accessPlugin, services)

  for (const route of [
    chatCompletionsRoute,
    completionsRoute,
    responsesRoute,
    responseRoute,
    responseInputTokensRoute,
    conversationsRoute,
    conversationItemsRoute,
    messagesRoute,
    countMessageTokensRoute,
    embeddingsRoute,
    rerankRoute,
    filesRoute,
    batchesRoute,
    modelsRoute,
    modelRoute,
    adaptersRoute,
    loadLoraAdapterRoute,
    loraAdaptersRoute,
    adminKeysRoute,
    usageRoute,
    limitsRoute,
    tokenizeRoute,
    detokenizeRoute,
    healthRoute,
    readyRoute,
    metricsRoute,
    rootRoute
  ]) {
    route(app, services)
  }
  await app.register(uploadsPlugin, services)
  if (config.apiDocs === 'on') await app.register(documentationPlugin, { version: parts.version ?? '0.0.0' })
  methods.addRefusals()
  await app.ready()
  batches?.start(app)
  return app
}

function openKeys (database: Database, logger: FastifyBaseLogger, now: () => Millis): { readonly keys: ManagedKeys, readonly ring: KeyRing } {
  const store = new KeyStore(database)
  const ring = new KeyRing({ store, logger, now, wallClock: Date.now })
  return { ring, keys: createManagedKeys(store, new OwnerLimits(database), ring) }
}

function openUsage (database: Database, config: HttpConfig, logger: FastifyBaseLogger): NonNullable<HttpServices['usage']> {
  const store = new UsageStore(database)
  return {
    ledger: new UsageLedger({ store, logger, retentionMs: () => config.usageRetentionMs === 'off' ? null : config.usageRetentionMs }),
    reader: new UsageReader(store, () => config.prices)
  }
}
