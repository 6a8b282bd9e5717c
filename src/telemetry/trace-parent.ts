/** What a caller's trace headers say: which trace and span a request belongs to. */
export interface TraceParent {
  /** 32 hexadecimal digits. */
  readonly traceId: string
  /** 16 hexadecimal digits: the caller's span. */
  readonly spanId: string
  /** Whether the caller records the trace. */
  readonly isSampled: boolean
  /** `tracestate` as it came; null where there was none. */
  readonly state: string | null
}

/** A version, a trace, a span and flags; versions to come may append more. */
const pattern = /^([\da-f]{2})-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})(-.*)?$/

/**
 * Reads `traceparent` and `tracestate` by the W3C's Trace Context. Null where there is no valid parent: the request then begins a trace.
 *
 * @see https://www.w3.org/TR/trace-context/
 */
export function readTraceParent (traceparent: string | undefined, tracestate: string | undefined): TraceParent | null {
  const [, version, traceId = '', spanId = '', flags = '', rest] = pattern.exec(traceparent?.trim() ?? '') ?? []
  if (version === undefined || version === 'ff' || (version === '00' && rest !== undefined)) return null
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null
  return { traceId, spanId, isSampled: (Number.parseInt(flags, 16) & 1) === 1, state: tracestate ?? null }
}
