import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'

type AttributeValue = { readonly stringValue?: string, readonly intValue?: number, readonly boolValue?: boolean, readonly arrayValue?: { readonly values: readonly AttributeValue[] } }
type Attributes = readonly { readonly key: string, readonly value: AttributeValue }[]

interface WireSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly traceState?: string
  readonly name: string
  readonly kind: number
  readonly startTimeUnixNano: string
  readonly endTimeUnixNano: string
  readonly attributes: Attributes
  readonly status: { readonly code: number }
}

interface WireTraces {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: Attributes }
    readonly scopeSpans: readonly { readonly spans: readonly WireSpan[] }[]
  }[]
}

export interface CollectedSpan {
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | null
  readonly traceState: string | null
  readonly name: string
  /** 1: inside; 2: server. */
  readonly kind: number
  readonly startedAtMs: number
  readonly durationMs: number
  readonly attributes: Readonly<Record<string, unknown>>
  /** 0: nothing said; 2: error. */
  readonly status: number
  readonly resource: Readonly<Record<string, unknown>>
}

/** What OpenTelemetry's collectors do with traces over HTTP, in memory. */
export interface OtlpCollector extends AsyncDisposable {
  readonly origin: string
  /** What it answers with, 200 unless a test says otherwise; 0 is no answer at all. */
  status: number
  /** All spans so far. */
  readonly spans: () => readonly CollectedSpan[]
  /** All bodies so far, as they came. */
  readonly text: () => string
  readonly requests: readonly { readonly url: string, readonly headers: IncomingHttpHeaders }[]
}

const toValue = ({ stringValue, intValue, boolValue, arrayValue }: AttributeValue): unknown =>
  arrayValue === undefined ? stringValue ?? intValue ?? boolValue : arrayValue.values.map(toValue)

const toObject = (attributes: Attributes): Record<string, unknown> => Object.fromEntries(attributes.map(({ key, value }) => [key, toValue(value)]))

const toMs = (nanoseconds: string): number => Number(BigInt(nanoseconds) / 1000n) / 1000

export async function startOtlpCollector (): Promise<OtlpCollector> {
  const bodies: string[] = []
  const requests: { url: string, headers: IncomingHttpHeaders }[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.setEncoding('utf8').on('data', (chunk: string) => { body += chunk })
    request.on('end', () => {
      requests.push({ url: request.url ?? '', headers: request.headers })
      if (collector.status === 200) bodies.push(body)
      if (collector.status !== 0) response.writeHead(collector.status, { 'content-type': 'application/json' }).end('{}')
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('A TCP server has a port')

  const collector: OtlpCollector = {
    origin: `http://127.0.0.1:${address.port}`,
    status: 200,
    requests,
    text: () => bodies.join('\n'),
    spans: () => bodies.flatMap((body) => (JSON.parse(body) as WireTraces).resourceSpans).flatMap(({ resource, scopeSpans }) =>
      scopeSpans.flatMap(({ spans }) => spans).map((span) => ({
        traceId: span.traceId,
        spanId: span.spanId,
        parentSpanId: span.parentSpanId ?? null,
        traceState: span.traceState ?? null,
        name: span.name,
        kind: span.kind,
        startedAtMs: toMs(span.startTimeUnixNano),
        durationMs: toMs(String(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano))),
        attributes: toObject(span.attributes),
        status: span.status.code,
        resource: toObject(resource.attributes)
      }))),
    async [Symbol.asyncDispose] () {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    }
  }
  return collector
}
