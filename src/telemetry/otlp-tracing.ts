import { randomUUID } from 'node:crypto'
import { type Attributes, type Context, ROOT_CONTEXT, SpanKind, SpanStatusCode, TraceFlags, createTraceState, trace } from '@opentelemetry/api'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { defaultResource, detectResources, envDetector, resourceFromAttributes } from '@opentelemetry/resources'
import { BasicTracerProvider, BatchSpanProcessor, type SpanExporter } from '@opentelemetry/sdk-trace-base'
import type { Millis } from '../domain/ids.ts'
import { errorCatalogue } from '../domain/errors.ts'
import type { GenerationRecord, RequestRecord } from './observer.ts'
import { probeRoutes } from './probe-routes.ts'
import { readTraceParent } from './trace-parent.ts'
import { type ArrivingRequest, noTracing, type Tracing } from './tracing.ts'

export interface OtlpTracingOptions {
  /** Where spans are posted. */
  readonly url: string
  /** Of the server. */
  readonly version: string
  /** For what is left at the end; a collector that is away must not hold up a shutdown. */
  readonly closeTimeoutMs?: Millis
  readonly logger: {
    info (details: object, message: string): void
    warn (details: object, message: string): void
  }
}

/** Wall-clock times in milliseconds. */
interface Interval {
  readonly startTime: Millis
  readonly endTime: Millis
}

/**
 * Sends a span per request, with its wait, prefill and decode below it, to an OpenTelemetry collector: JSON over HTTP, in batches, from a
 * bounded queue. What cannot be sent is lost, and costs requests nothing.
 *
 * Loaded only where traces are wanted. Nothing of it is global, so that it stays out of the way of whatever else uses OpenTelemetry.
 */
export function createOtlpTracing ({ url, version, closeTimeoutMs = 5000, logger }: OtlpTracingOptions): Tracing {
  const resource = defaultResource()
    .merge(resourceFromAttributes({ 'service.name': 'drawbridge', 'service.version': version, 'service.instance.id': randomUUID() }))
    // OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES have the last word.
    .merge(detectResources({ detectors: [envDetector] }))
  const provider = new BasicTracerProvider({
    resource, spanProcessors: [new BatchSpanProcessor(tellFailures(new OTLPTraceExporter({ url }), logger))]
  })
  const tracer = provider.getTracer('drawbridge', version)

  return {
    begin (request) {
      if (request.route !== null && probeRoutes.has(request.route)) return noTracing.begin(request)
      const startTime = Date.now()
      const name = request.route === null ? request.method : `${request.method} ${request.route}`
      const parent = parentOf(request)
      const span = tracer.startSpan(name, { kind: SpanKind.SERVER, startTime, attributes: { 'http.request.method': request.method } }, parent)
      return {
        traceId: span.spanContext().traceId,
        end (record) {
          if (span.isRecording()) {
            span.setAttributes(attributesOf(record))
            if (isServerFault(record)) span.setStatus({ code: SpanStatusCode.ERROR })
            const context = trace.setSpan(parent, span)
            for (const [phase, interval] of phasesOf(record, startTime)) {
              tracer.startSpan(phase, { startTime: interval.startTime }, context).end(interval.endTime)
            }
          }
          span.end(startTime + record.durationMs)
        }
      }
    },

    async close () {
      let timer: NodeJS.Timeout | undefined
      const late = new Promise<'late'>((resolve) => { timer = setTimeout(resolve, closeTimeoutMs, 'late') })
      // What could not be sent is told where it is sent.
      const sent = provider.shutdown().catch(() => {})
      if (await Promise.race([sent, late]) === 'late') logger.warn({}, 'the last traces were not sent in time')
      clearTimeout(timer)
    }
  }
}

function parentOf ({ traceparent, tracestate }: ArrivingRequest): Context {
  const parent = readTraceParent(traceparent, tracestate)
  if (parent === null) return ROOT_CONTEXT
  const { traceId, spanId, isSampled, state } = parent
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: isSampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(state === null ? {} : { traceState: createTraceState(state) })
  })
}

/** A client's mistake is no failure of the server's; nor is its leaving. */
function isServerFault ({ outcome, errorCode }: RequestRecord): boolean {
  return outcome === 'error' && errorCode !== null && errorCatalogue[errorCode].status >= 500
}

/** By the conventions for HTTP servers and for generative AI; ours for the rest. No text of prompts and answers, no key, no path. */
function attributesOf (record: RequestRecord): Attributes {
  const errorType = record.errorCode ?? (record.outcome === 'aborted' ? 'request_aborted' : null)
  return {
    ...(record.route === 'unknown' ? {} : { 'http.route': record.route }),
    'http.response.status_code': record.status,
    ...(errorType === null ? {} : { 'error.type': errorType }),
    'drawbridge.request.id': record.requestId,
    'drawbridge.outcome': record.outcome,
    ...(record.tenant === null ? {} : { 'drawbridge.tenant': record.tenant }),
    ...(record.generation === null ? {} : generationAttributesOf(record.generation))
  }
}

function generationAttributesOf (generation: GenerationRecord): Attributes {
  return {
    'gen_ai.provider.name': 'drawbridge',
    'gen_ai.operation.name': generation.operation,
    'gen_ai.request.model': generation.requestedModel,
    'gen_ai.response.model': generation.model,
    'gen_ai.response.id': generation.id,
    'gen_ai.usage.input_tokens': generation.promptTokens,
    ...(generation.inputs === undefined
      ? {
          'gen_ai.usage.cache_read.input_tokens': generation.cachedTokens,
          'gen_ai.usage.output_tokens': generation.completionTokens,
          'gen_ai.response.finish_reasons': [...generation.finishReasons],
          'drawbridge.stream': generation.isStream
        }
      : { 'drawbridge.inputs': generation.inputs }),
    ...(generation.choicesPerPrompt > 1 ? { 'gen_ai.request.choice.count': generation.choicesPerPrompt } : {}),
    ...(generation.maxTokens === null ? {} : { 'gen_ai.request.max_tokens': generation.maxTokens }),
    ...(generation.adapters.length === 0 ? {} : { 'drawbridge.adapters': [...generation.adapters] })
  }
}

/** The parts of a request's run, one after the other. One that was cut short ends with the request. */
function phasesOf ({ generation, durationMs }: RequestRecord, arrivedAt: Millis): readonly (readonly [name: string, Interval])[] {
  if (generation === null || generation.acceptedMs === null) return []
  const { acceptedMs, startedMs, ttftMs, inputs } = generation
  const endedMs = generation.endedMs ?? durationMs
  const phase = (name: string, fromMs: Millis | null, toMs: Millis): readonly [string, Interval][] =>
    fromMs === null ? [] : [[name, { startTime: arrivedAt + fromMs, endTime: arrivedAt + Math.max(fromMs, toMs) }]]
  return [
    ...phase('queue', acceptedMs, startedMs ?? endedMs),
    ...phase(inputs === undefined ? 'prefill' : 'embed', startedMs, ttftMs ?? endedMs),
    ...phase('decode', ttftMs, endedMs)
  ]
}

/** Says once that a collector is away, and once that it is back. */
function tellFailures (exporter: SpanExporter, logger: OtlpTracingOptions['logger']): SpanExporter {
  let isFailing = false
  return {
    export (spans, done) {
      exporter.export(spans, (result) => {
        if (result.error !== undefined && !isFailing) logger.warn({ reason: result.error.message, spans: spans.length }, 'traces cannot be sent and are lost')
        if (result.error === undefined && isFailing) logger.info({}, 'traces are sent again')
        isFailing = result.error !== undefined
        done(result)
      })
    },
    shutdown: async () => await exporter.shutdown(),
    forceFlush: async () => await exporter.forceFlush?.()
  }
}
