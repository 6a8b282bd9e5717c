import type { Caller } from '../access/caller.ts'
import type { Rates } from '../access/limits/admission.ts'
import type { UsageAccount } from '../access/usage/usage-store.ts'
import type { LimitName } from '../domain/limits.ts'
import type { Millis } from '../domain/ids.ts'
import { asTenantId } from '../domain/ids.ts'
import type { Scope } from '../domain/scopes.ts'
import type { ServerError } from '../domain/errors.ts'
import type { AdminAction, GenerationRecord, RequestRecord } from '../telemetry/observer.ts'
import type { RequestTrace } from '../telemetry/tracing.ts'

interface RunTrace {
  /** Whether the model has begun. */
  readonly hasRun: boolean
  readonly record: () => GenerationRecord
  /** The answers so far, by choice, where they are kept for the prompt log. */
  readonly answers?: () => readonly string[]
}

/** What a run has taken of limits. */
interface Reservation {
  /** Of the run. */
  readonly id: string
  readonly account: UsageAccount
  /** Whether it has ended, or does so with the row of the ledger that is under way. */
  isSettled: boolean
}

/** Who asks on routes that need no key. */
const nobody: Caller = {
  owner: '', tenant: asTenantId(''), keyId: null, isAnonymous: true, scopes: [], models: null, adapters: null, weight: 1, priority: 'normal', highestPriority: 'normal', limits: []
}

/** What belongs to one HTTP exchange beside Fastify's request and reply. */
export class RequestContext {
  readonly id: string
  /** The route's pattern. */
  readonly endpoint: string
  readonly arrivedAt: Millis
  /** The client's network address; a socket that is closed does not know it any more. */
  readonly address: string
  /** Set by access before any handler runs that is not public. */
  caller: Caller = nobody
  /** Fires when the client goes before its answer is complete, or when the server gives the request up. */
  readonly cancellation: AbortController = new AbortController()
  /** The error the client was told, for the log. */
  error: ServerError | null = null
  /** Whether the client, and not the server, ended the exchange early. */
  isAborted = false
  /** The trace that it belongs to. */
  trace: RequestTrace | null = null
  /** What it is to change, if it is an admin's. */
  action: AdminAction | null = null
  /** What watches the run of a model. */
  generation: RunTrace | null = null
  /** Null for callers without limits, and before the run is let in. */
  reservation: Reservation | null = null
  /** The limit that kept it from running. */
  refusedBy: LimitName | null = null
  /** Puts into the answer's headers what is left of the caller's limits. */
  tellRates: (rates: Rates) => void = () => {}
  /**
   * Work that goes on without the client: its leaving ends nothing any more, and the exchange is told of when this settles. It
   * never rejects.
   */
  background: Promise<void> | null = null

  constructor (id: string, endpoint: string, arrivedAt: Millis, address: string) {
    this.id = id
    this.endpoint = endpoint
    this.arrivedAt = arrivedAt
    this.address = address
  }

  outcome (): RequestRecord['outcome'] {
    if (this.isAborted || this.error?.code === 'request_aborted') return 'aborted'
    return this.error === null ? 'ok' : 'error'
  }
}

declare module 'fastify' {
  interface FastifyRequest {
    requestContext: RequestContext
  }

  interface FastifyContextConfig {
    /** Needs no API key. */
    isPublic?: boolean
    /** A key needs one of them; `any` is any key. Routes without it are for admins. */
    scopes?: readonly Scope[] | 'any'
    /** What it does counts against the caller's limits. */
    isLimited?: boolean
    /** Only says that the path has other methods. */
    isRefusal?: boolean
  }
}
