import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { createServerMetrics, type ServerFacts } from '../../../src/telemetry/server-metrics.ts'

const nothing: ServerFacts = { isDraining: () => false, database: null, lostUsageRows: () => null, certificateEnd: () => null }

/** Samples by name. */
async function scrape (registry: Registry): Promise<Record<string, number>> {
  const text = await registry.metrics()
  return Object.fromEntries([...text.matchAll(/^(drawbridge_\w+) (\S+)$/gm)].map(([, name, value]) => [name, Number(value)]))
}

describe('what the server tells of itself', () => {
  it('leaves out what it does not have', async () => {
    const registry = new Registry()
    createServerMetrics(registry, nothing)
    expect(await scrape(registry)).toEqual({ drawbridge_draining: 0 })
  })

  it('is what is so at the scrape', async () => {
    const registry = new Registry()
    let looks = 0
    const database = { isUp: true, failureCount: 0, look: () => { looks++ } }
    let [isDraining, lost, end] = [false, 0, 1_800_000_000]
    createServerMetrics(registry, { isDraining: () => isDraining, database, lostUsageRows: () => lost, certificateEnd: () => end })
    expect(await scrape(registry)).toEqual({
      drawbridge_draining: 0, drawbridge_tls_certificate_end_seconds: 1_800_000_000, drawbridge_database_up: 1, drawbridge_database_failures_total: 0, drawbridge_usage_rows_lost_total: 0
    })
    Object.assign(database, { isUp: false, failureCount: 2 });
    [isDraining, lost, end] = [true, 3, 1_900_000_000]
    expect(await scrape(registry)).toEqual({
      drawbridge_draining: 1, drawbridge_tls_certificate_end_seconds: 1_900_000_000, drawbridge_database_up: 0, drawbridge_database_failures_total: 2, drawbridge_usage_rows_lost_total: 3
    })
    expect(looks).toBe(2)
  })
})
