import type { Logger } from 'pino'
import type { AppParts } from '../app.ts'
import type { Config } from '../config/config.ts'
import { LineFile, type LineFileOptions } from '../telemetry/line-file.ts'
import { resolveOtlpSettings } from '../telemetry/otlp-settings.ts'
import { noTracing, type Tracing } from '../telemetry/tracing.ts'
import { readVersion } from './version.ts'

type SourceOf = (flag: string) => string

export interface Telemetry {
  /** For the app, which uses them until it is closed. */
  readonly parts: Pick<AppParts, 'auditLog' | 'promptLog' | 'tracing'>
  /** Writes and sends what is left, for a limited time. */
  readonly close: () => Promise<void>
}

/** For the last lines of a file. */
const closeTimeoutMs = 1000

const mebibyte = 1024 * 1024

/**
 * Opens what the configuration wants beside log and metrics: traces, the audit log, the prompt log.
 * @throws StartupError for an address that is none, or a file that cannot be written
 */
export async function openTelemetry ({ auditLog, logPrompts, otlpEndpoint }: Config, sourceOf: SourceOf, logger: Logger): Promise<Telemetry> {
  const tracing = await openTracing(otlpEndpoint, sourceOf, logger)
  const audit = await openFile(auditLog, sourceOf('audit-log'), { isDurable: true, maxWaitingBytes: 4 * mebibyte }, logger)
  const prompts = await openFile(logPrompts, sourceOf('log-prompts'), { isDurable: false, maxWaitingBytes: 128 * mebibyte }, logger)
  if (prompts !== null) logger.warn({ file: logPrompts }, 'prompts and answers are written to a file')
  return {
    parts: { tracing, ...(audit === null ? {} : { auditLog: audit }), ...(prompts === null ? {} : { promptLog: prompts }) },
    close: async () => {
      await Promise.all([tracing.close(), audit?.close(closeTimeoutMs), prompts?.close(closeTimeoutMs)])
    }
  }
}

const toMessages = (logger: Logger) => ({
  info: (details: object, message: string): void => logger.info(details, message),
  warn: (details: object, message: string): void => logger.warn(details, message),
  error: (details: object, message: string): void => logger.error(details, message)
})

/** OpenTelemetry is loaded only where somebody wants traces. */
async function openTracing (endpoint: string, sourceOf: SourceOf, logger: Logger): Promise<Tracing> {
  const settings = resolveOtlpSettings(endpoint, sourceOf('otlp-endpoint'), process.env)
  if (settings === null) return noTracing
  for (const warning of settings.warnings) logger.warn({}, warning)
  // A query may hold a key.
  const { origin, pathname } = new URL(settings.url)
  logger.info({ url: `${origin}${pathname}` }, 'sending traces')
  const { createOtlpTracing } = await import('../telemetry/otlp-tracing.ts')
  return createOtlpTracing({ url: settings.url, version: readVersion(), logger: toMessages(logger) })
}

async function openFile (path: string, source: string, limits: Pick<LineFileOptions, 'isDurable' | 'maxWaitingBytes'>, logger: Logger): Promise<LineFile | null> {
  if (path === 'off') return null
  const file = new LineFile({ path, ...limits, logger: toMessages(logger) })
  await file.check(source)
  return file
}
