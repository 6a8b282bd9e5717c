import type { RequestRecord } from './observer.ts'
import { readTraceParent } from './trace-parent.ts'

/** What is known of a request when it arrives. */
export interface ArrivingRequest {
  readonly method: string
  /** The route's pattern; null where there is none. */
  readonly route: string | null
  readonly traceparent: string | undefined
  readonly tracestate: string | undefined
}

/** The trace that a request belongs to. */
export interface RequestTrace {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** The request is over. */
  end (record: RequestRecord): void
}

/** Must not throw and must not block. */
export interface Tracing {
  /** @returns null for a request of no trace */
  begin (request: ArrivingRequest): RequestTrace | null
  /** Sends what is left, for a limited time. */
  close (): Promise<void>
}

/** Records nothing; what callers trace has its id in the log all the same. */
export const noTracing: Tracing = {
  begin ({ traceparent, tracestate }) {
    const parent = readTraceParent(traceparent, tracestate)
    return parent === null ? null : { traceId: parent.traceId, end: () => {} }
  },
  close: async () => {}
}
