import { describe, expect, it } from 'vitest'
import { resolveOtlpSettings } from '../../../src/telemetry/otlp-settings.ts'

const urlOf = (endpoint: string, environment: NodeJS.ProcessEnv = {}): string | null => resolveOtlpSettings(endpoint, '--otlp-endpoint', environment)?.url ?? null

describe('where traces go', () => {
  it.each([
    ['nowhere by default', 'off', {}, null],
    ['where the option says', 'http://collector:4318', {}, 'http://collector:4318/v1/traces'],
    ['below its path', 'https://collector/otlp/', {}, 'https://collector/otlp/v1/traces'],
    ['as it is when it is whole', 'http://collector:4318/v1/traces', {}, 'http://collector:4318/v1/traces'],
    ['with its query', 'http://collector:4318/?a=b', {}, 'http://collector:4318/v1/traces?a=b'],
    ['where the environment says', 'off', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://env:4318' }, 'http://env:4318/v1/traces'],
    ['where it says for traces, as it is', 'off', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://env:4318', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://traces:4318/here' }, 'http://traces:4318/here'],
    ['to the option before the environment', 'http://collector:4318', { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://traces:4318' }, 'http://collector:4318/v1/traces'],
    ['nowhere when OpenTelemetry is disabled', 'http://collector:4318', { OTEL_SDK_DISABLED: 'true' }, null],
    ['nowhere when the environment wants no traces', 'off', { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://env:4318', OTEL_TRACES_EXPORTER: 'none' }, null],
    ['nowhere when the variable is empty', 'off', { OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }, null]
  ])('is %s', (_what, endpoint, environment, url) => {
    expect(urlOf(endpoint, environment)).toBe(url)
  })

  it('must be an address without a password', () => {
    expect(() => urlOf('collector:4318')).toThrow('--otlp-endpoint must be an http or https address')
    expect(() => urlOf('off', { OTEL_EXPORTER_OTLP_ENDPOINT: 'nonsense' })).toThrow('OTEL_EXPORTER_OTLP_ENDPOINT must be')
    expect(() => urlOf('http://user:secret@collector:4318')).toThrow(/^--otlp-endpoint holds a user or password; (?!.*secret)/)
  })

  it('warns of a protocol that is not spoken', () => {
    const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://env:4317' }
    expect(resolveOtlpSettings('off', '', { ...environment, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' })?.warnings).toEqual([expect.stringContaining('"grpc"')])
    expect(resolveOtlpSettings('off', '', { ...environment, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf' })?.warnings).toEqual([])
    expect(resolveOtlpSettings('off', '', environment)?.warnings).toEqual([])
  })
})
