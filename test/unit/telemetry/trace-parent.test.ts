import { describe, expect, it } from 'vitest'
import { noTracing } from '../../../src/telemetry/tracing.ts'
import { readTraceParent } from '../../../src/telemetry/trace-parent.ts'

const traceId = '0af7651916cd43dd8448eb211c80319c'
const spanId = 'b7ad6b7169203331'

describe('traceparent', () => {
  it.each([
    ['of today', `00-${traceId}-${spanId}-01`, true],
    ['not sampled', `00-${traceId}-${spanId}-00`, false],
    ['with flags that are not known yet', `00-${traceId}-${spanId}-03`, true],
    ['with those alone', `00-${traceId}-${spanId}-02`, false],
    ['of a version to come', `cc-${traceId}-${spanId}-01-more`, true],
    ['in spaces', ` 00-${traceId}-${spanId}-01 `, true]
  ])('is read: %s', (_what, header, isSampled) => {
    expect(readTraceParent(header, 'a=b')).toEqual({ traceId, spanId, isSampled, state: 'a=b' })
    expect(readTraceParent(header, undefined)?.state).toBeNull()
  })

  it.each([
    ['absent', undefined],
    ['empty', ''],
    ['of a version that is none', `ff-${traceId}-${spanId}-01`],
    ['longer than its version', `00-${traceId}-${spanId}-01-more`],
    ['in capitals', `00-${traceId.toUpperCase()}-${spanId}-01`],
    ['without a trace', `00-${'0'.repeat(32)}-${spanId}-01`],
    ['without a span', `00-${traceId}-${'0'.repeat(16)}-01`],
    ['cut short', `00-${traceId}-${spanId}`],
    ['sent twice', `00-${traceId}-${spanId}-01, 00-${traceId}-${spanId}-01`],
    ['something else', 'marker']
  ])('is no parent: %s', (_what, header) => {
    expect(readTraceParent(header, 'a=b')).toBeNull()
  })
})

describe('without traces', () => {
  it('a request keeps its caller\'s id, and has none of its own', () => {
    const request = { method: 'POST', route: '/v1/chat/completions', tracestate: undefined }
    expect(noTracing.begin({ ...request, traceparent: `00-${traceId}-${spanId}-01` })?.traceId).toBe(traceId)
    expect(noTracing.begin({ ...request, traceparent: undefined })).toBeNull()
  })
})
