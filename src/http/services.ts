import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import type { ChatTemplates } from '../chat/chat-templates.ts'
import type { Preparation } from '../chat/preparation/preparation.ts'
import type { Config } from '../config/config.ts'
import type { Millis } from '../domain/ids.ts'
import type { AdapterLibrary } from '../adapters/adapter-library.ts'
import type { ModelCatalogue } from '../models/catalogue.ts'
import type { LineSink } from '../telemetry/line-file.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Observer } from '../telemetry/observer.ts'
import type { Lifecycle } from './lifecycle.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import type { BatchService } from './batches/batch-service.ts'
import type { InternalRequests } from './internal-requests.ts'
import type { BackgroundRuns } from './responses/background-runs.ts'
import type { ResponseStore } from './responses/response-store.ts'
import type { Access } from '../access/access.ts'
import type { ManagedKeys } from '../access/keys/managed-keys.ts'
import type { Limiter } from '../access/limits/limiter.ts'
import type { UsageLedger } from '../access/usage/usage-ledger.ts'
import type { UsageReader } from '../access/usage/usage-reader.ts'

/** The settings that HTTP looks at. */
export type HttpConfig = Pick<Config,
  'apiDocs' | 'batchConcurrency' | 'batchMaxLines' | 'batches' | 'bodyLimit' | 'corsOrigins' | 'fileMaxSize' | 'fileQuota' | 'fileTotalQuota' | 'fileTtlMs' | 'headerLimit' | 'idleTimeoutMs' | 'keepAliveMs' | 'limits' | 'maxConnections' | 'maxQueue' | 'maxResponses' | 'prices' | 'publicRoutes' | 'trustedProxies' | 'queueTimeoutMs' | 'requestTimeoutMs' | 'responseStore' | 'responseTtlMs' | 'usage' | 'usageRetentionMs'>

/** What routes and plugins use. Everything is passed in; nothing is looked up. */
export interface HttpServices {
  readonly config: HttpConfig
  readonly catalogue: ModelCatalogue
  readonly adapters: AdapterLibrary
  readonly chatTemplates: ChatTemplates
  readonly preparation: Preparation
  readonly responseStore: ResponseStore
  /** Responses that are made without their clients. */
  readonly backgroundRuns: BackgroundRuns
  readonly access: Access
  /** Lets in what the server asks itself. */
  readonly internalRequests: InternalRequests
  /** Null where there is no database, or there are to be none. */
  readonly batches: BatchService | null
  readonly lifecycle: Lifecycle
  /** Null where there is no database. */
  readonly keys: ManagedKeys | null
  readonly limiter: Limiter
  /** What requests have used; null where there is no database, or it is not to be kept. */
  readonly usage: { readonly ledger: UsageLedger, readonly reader: UsageReader } | null
  readonly metrics: Metrics
  readonly observer: Observer
  readonly tracing: Tracing
  /** Takes prompts and answers; null unless the operator wants them written. */
  readonly promptLog: LineSink | null
  readonly logger: FastifyBaseLogger
  /** Monotonic clock in milliseconds. */
  readonly now: () => Millis
  /** Unsigned 32-bit, for requests without a seed. */
  readonly randomSeed: () => number
  /** Most bytes of a stream that wait for a slow reader before its request is given up. */
  readonly maxStreamBufferBytes: number
}

/** Adds one endpoint. */
export type Route = (app: FastifyInstance, services: HttpServices) => void
