import { readUsage, sumUsage } from '../support/process-usage.ts'
import { quantile } from '../../src/bench/measure/latency-summary.ts'
import { putLoad } from './load.ts'
import type { Scenario } from './scenario.ts'

/** A server in processes of its own. */
export interface MeasuredServer {
  readonly url: string
  readonly pid: number
  readonly enginePids: readonly number[]
}

/** One run of one scenario. */
export interface Sample {
  readonly requests: number
  readonly errors: number
  readonly seconds: number
  readonly requestsPerSecond: number
  readonly tokensPerSecond: number
  readonly p50Ms: number
  readonly p90Ms: number
  readonly p99Ms: number
  readonly bytesPerAnswer: number
  /** CPU time, user and system, of each process for one request. NaN where there is no /proc. */
  readonly serverMicrosPerRequest: number
  readonly engineMicrosPerRequest: number
  readonly loadMicrosPerRequest: number
  /** Cores that each process kept busy: 1 is one whole core. */
  readonly serverCores: number
  readonly engineCores: number
  readonly loadCores: number
  readonly serverMiB: number
  readonly engineMiB: number
}

export interface MeasureOptions {
  readonly connections: number
  readonly amount: number
  readonly limitMs: number
  readonly signal: AbortSignal
}

/** Runs a scenario once and reads what every process used meanwhile. */
export async function measure (server: MeasuredServer, scenario: Scenario, options: MeasureOptions): Promise<Sample> {
  const { enginePids } = server
  const read = () => ({ server: readUsage(server.pid), engine: sumUsage(enginePids), load: process.cpuUsage() })

  const before = read()
  const load = await putLoad({ url: server.url, request: scenario.request, ...options })
  const after = read()

  const cpu = {
    server: (after.server?.cpuSeconds ?? Number.NaN) - (before.server?.cpuSeconds ?? Number.NaN),
    engine: after.engine.cpuSeconds - before.engine.cpuSeconds,
    load: (after.load.user + after.load.system - before.load.user - before.load.system) / 1e6
  }
  const { requests, seconds } = load
  const microsPerRequest = (cpuSeconds: number): number => cpuSeconds * 1e6 / requests
  return {
    requests,
    errors: load.errors,
    seconds,
    requestsPerSecond: requests / seconds,
    tokensPerSecond: requests * scenario.tokens / seconds,
    p50Ms: quantile(load.latenciesMs, 0.50),
    p90Ms: quantile(load.latenciesMs, 0.90),
    p99Ms: quantile(load.latenciesMs, 0.99),
    bytesPerAnswer: load.bytes / requests,
    serverMicrosPerRequest: microsPerRequest(cpu.server),
    engineMicrosPerRequest: microsPerRequest(cpu.engine),
    loadMicrosPerRequest: microsPerRequest(cpu.load),
    serverCores: cpu.server / seconds,
    engineCores: cpu.engine / seconds,
    loadCores: cpu.load / seconds,
    serverMiB: (after.server?.residentBytes ?? Number.NaN) / 2 ** 20,
    engineMiB: after.engine.residentBytes / 2 ** 20
  }
}

/**
 * How many requests fill about the given time: by trying a few, which also warms caches and compilers up.
 * @returns at least one per connection.
 */
export async function calibrate (
  server: MeasuredServer, scenario: Scenario, connections: number, seconds: number, signal: AbortSignal
): Promise<number> {
  let amount = connections * 2
  for (const share of [0.1, 0.5, 1]) {
    const { requestsPerSecond } = await measure(server, scenario, { connections, amount, limitMs: 20_000, signal })
    amount = Math.min(200_000, Math.max(connections * 2, Math.round((Number.isFinite(requestsPerSecond) ? requestsPerSecond : 1) * seconds * share)))
  }
  return amount
}
