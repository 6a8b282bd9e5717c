import { Counter, Gauge, type Registry } from 'prom-client'

/** What the server knows of itself, beside its models. */
export interface ServerFacts {
  readonly isDraining: () => boolean
  /** Null where there is none. */
  readonly database: { readonly isUp: boolean, readonly failureCount: number, look (): void } | null
  /** How many runs are missing in the ledger of usage; null where there is none. */
  readonly lostUsageRows: () => number | null
  /** When the certificate ends, in seconds since 1970; null without TLS. */
  readonly certificateEnd: () => number | null
}

/** Adds what operators watch beside the models. What a server does not have has no samples. */
export function createServerMetrics (registry: Registry, { isDraining, database, lostUsageRows, certificateEnd }: ServerFacts): void {
  const registers = [registry]
  const gauge = (name: string, help: string, value: () => number | null): void => {
    const metric: Gauge = new Gauge({
      name,
      help,
      registers,
      collect () {
        const now = value()
        if (now === null) metric.remove()
        else metric.set(now)
      }
    })
  }
  const counter = (name: string, help: string, value: () => number | null): void => {
    const metric: Counter = new Counter({
      name,
      help,
      registers,
      collect () {
        const now = value()
        metric.reset()
        if (now === null) metric.remove()
        else metric.inc(now)
      }
    })
  }
  gauge('drawbridge_draining', 'Whether the server is about to end and takes no new work', () => isDraining() ? 1 : 0)
  gauge('drawbridge_tls_certificate_end_seconds', 'When the certificate ends, in seconds since 1970', certificateEnd)
  gauge('drawbridge_database_up', 'Whether the database answered when it was last asked, at the latest at the scrape before', () => {
    if (database === null) return null
    database.look()
    return database.isUp ? 1 : 0
  })
  counter('drawbridge_database_failures_total', 'How often the database gave no answer', () => database?.failureCount ?? null)
  counter('drawbridge_usage_rows_lost_total', 'Runs of models that are missing in the ledger of usage', lostUsageRows)
}
