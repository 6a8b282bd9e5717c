import { StartupError } from '../domain/startup-error.ts'

export interface OtlpSettings {
  /** Where spans are posted. */
  readonly url: string
  readonly warnings: readonly string[]
}

const tracesPath = 'v1/traces'

/**
 * Where traces go: `--otlp-endpoint`, or what OpenTelemetry's own variables say. Headers, timeouts, batches and sampling are left to those
 * variables.
 *
 * @param endpoint the option's value; `off` is none
 * @param source what sets the option, for errors
 * @returns null when there are no traces
 * @throws StartupError for an address that is none
 * @see https://opentelemetry.io/docs/specs/otel/protocol/exporter/
 */
export function resolveOtlpSettings (endpoint: string, source: string, environment: NodeJS.ProcessEnv): OtlpSettings | null {
  const variable = (name: string): string | null => environment[name]?.trim() || null
  if (variable('OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return null
  if (endpoint !== 'off') return { url: withTracesPath(checkUrl(endpoint, source)), warnings: [] }

  if (variable('OTEL_TRACES_EXPORTER') === 'none') return null
  const own = variable('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT')
  const common = variable('OTEL_EXPORTER_OTLP_ENDPOINT')
  if (own === null && common === null) return null
  const protocol = variable('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL') ?? variable('OTEL_EXPORTER_OTLP_PROTOCOL') ?? 'http/json'
  return {
    // The specification takes the signal's own address as it is.
    url: own !== null
      ? checkUrl(own, 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT').href
      : withTracesPath(checkUrl(common ?? '', 'OTEL_EXPORTER_OTLP_ENDPOINT')),
    warnings: protocol.startsWith('http/') ? [] : [`Traces are sent as JSON over HTTP; the protocol "${protocol}" of OTEL_EXPORTER_OTLP_PROTOCOL is not supported, and its port may be another one`]
  }
}

function checkUrl (text: string, source: string): URL {
  const url = URL.canParse(text) ? new URL(text) : null
  if (url === null || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new StartupError(`${source} must be an http or https address, such as http://127.0.0.1:4318`)
  }
  if (url.username !== '' || url.password !== '') {
    throw new StartupError(`${source} holds a user or password; send them as a header, with OTEL_EXPORTER_OTLP_HEADERS`)
  }
  return url
}

function withTracesPath (url: URL): string {
  if (url.pathname.endsWith(`/${tracesPath}`)) return url.href
  const full = new URL(url)
  full.pathname = `${url.pathname.replace(/\/+$/, '')}/${tracesPath}`
  return full.href
}
