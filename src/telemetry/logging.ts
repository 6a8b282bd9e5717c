import { type BaseLogger, type DestinationStream, type Logger, pino } from 'pino'
import { prettyFactory } from 'pino-pretty'
import type { Config } from '../config/config.ts'
import type { GenerationRecord, Observer, RequestRecord } from './observer.ts'
import { probeRoutes } from './probe-routes.ts'

export interface LoggerOptions {
  readonly level: Config['logLevel']
  readonly format: Config['logFormat']
  /** Whether the output is a terminal: what `auto` looks at. */
  readonly isTerminal: boolean
  readonly isColoured: boolean
}

/** Fields that could hold a key, wherever a logged object has them. */
const secretPaths = ['authorization', 'apiKey', 'apiKeys', 'api_key', '["x-api-key"]', 'cookie']
  .flatMap((field) => {
    const nested = field.startsWith('[') ? field : `.${field}`
    return [field, `*${nested}`, `headers${nested}`, `*.headers${nested}`]
  })

const redact = { paths: secretPaths, censor: '[hidden]' }

/** The server's logger. Prompts, answers and keys are never passed to it; the redaction is a second net. */
export function createLogger (options: LoggerOptions, destination: DestinationStream): Logger {
  const isPretty = options.format === 'pretty' || (options.format === 'auto' && options.isTerminal)
  if (!isPretty) return pino({ level: options.level, redact }, destination)
  // Line by line rather than through streams, so that nothing is lost when the process ends.
  const toPretty = prettyFactory({ colorize: options.isColoured, ignore: 'pid,hostname', translateTime: 'SYS:HH:MM:ss.l', singleLine: true })
  return pino({ level: options.level, redact }, { write: (line) => destination.write(toPretty(line)) })
}

const round = (value: number): number => Math.round(value * 10) / 10

/** One line per request; probes and scrapes only at `debug`. */
export function createRequestLog (logger: Pick<BaseLogger, 'info' | 'debug'>): Observer {
  return {
    requestFinished (record) {
      const level = probeRoutes.has(record.route) ? 'debug' : 'info'
      logger[level](toLine(record), 'request finished')
    }
  }
}

function toLine (record: RequestRecord): Record<string, unknown> {
  const { generation } = record
  return {
    requestId: record.requestId,
    ...(record.traceId === null ? {} : { traceId: record.traceId }),
    method: record.method,
    route: record.route,
    status: record.status,
    outcome: record.outcome,
    ...(record.errorCode === null ? {} : { errorCode: record.errorCode }),
    ...(record.tenant === null ? {} : { tenant: record.tenant }),
    durationMs: round(record.durationMs),
    ...(generation === null ? {} : describeGeneration(generation))
  }
}

function describeGeneration (generation: GenerationRecord): Record<string, unknown> {
  const { inputs } = generation
  return {
    completionId: generation.id,
    operation: generation.operation,
    model: generation.model,
    ...(generation.adapters.length === 0 ? {} : { adapters: generation.adapters }),
    promptTokens: generation.promptTokens,
    queuedMs: generation.queuedMs === null ? null : round(generation.queuedMs),
    completionTokens: generation.completionTokens,
    // Vectors and ranks have no tokens that are cached or awaited.
    ...(inputs !== undefined
      ? { inputs }
      : {
          stream: generation.isStream,
          cachedTokens: generation.cachedTokens,
          finishReasons: generation.finishReasons,
          ttftMs: generation.ttftMs === null ? null : round(generation.ttftMs)
        })
  }
}
