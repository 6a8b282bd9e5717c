import { monitorEventLoopDelay, performance, type EventLoopUtilization, type IntervalHistogram } from 'node:perf_hooks'
import type { GeneratorUsage } from '../report/bench-run.ts'
import { quantile } from './latency-summary.ts'
import type { RequestRecord } from './request-record.ts'

/** What the load generator's own process uses while a run goes on, so that its limits are not taken for the server's. */
export class GeneratorWatch {
  readonly #cpu = process.cpuUsage()
  readonly #utilization: EventLoopUtilization = performance.eventLoopUtilization()
  readonly #startedAt = performance.now()
  readonly #delay: IntervalHistogram = monitorEventLoopDelay({ resolution: 1 })

  constructor () {
    this.#delay.enable()
  }

  /** @param isOpenLoop whether requests had moments at which they were to be sent. */
  stop (records: readonly RequestRecord[], isOpenLoop: boolean): GeneratorUsage {
    this.#delay.disable()
    const seconds = Math.max(0.001, (performance.now() - this.#startedAt) / 1000)
    const { user, system } = process.cpuUsage(this.#cpu)
    const { utilization } = performance.eventLoopUtilization(this.#utilization)
    // Its timer comes every millisecond when nothing is late.
    const loopDelayMs = this.#delay.count === 0 ? 0 : Math.max(0, this.#delay.percentile(99) / 1e6 - 1)
    const lateness = records.map(({ scheduledAt, sentAt }) => sentAt - scheduledAt).sort((a, b) => a - b)
    const latenessMs = isOpenLoop ? quantile(lateness, 0.99) : null
    return {
      cpu_seconds: (user + system) / 1e6,
      cores: (user + system) / 1e6 / seconds,
      chunks_per_second: records.reduce((sum, { outputTimes }) => sum + outputTimes.length, 0) / seconds,
      loop_delay_p99_ms: loopDelayMs,
      lateness_p99_ms: latenessMs,
      warnings: starvationWarnings(utilization, loopDelayMs, latenessMs)
    }
  }
}

/** @param utilization of the event loop, 0 to 1. @param latenessMs null where nothing was scheduled. */
export function starvationWarnings (utilization: number, loopDelayMs: number, latenessMs: number | null): readonly string[] {
  const warnings: string[] = []
  if (utilization > 0.85) {
    warnings.push(`The load generator was busy ${Math.round(utilization * 100)} % of the time: rates may be its own limit, not the server's`)
  }
  if (loopDelayMs > 20) {
    warnings.push(`The load generator was late by ${loopDelayMs.toFixed(0)} ms or more in 1 % of cases (too few cores for it and the server?): latencies are too high by that`)
  }
  if (latenessMs !== null && latenessMs > 50) {
    warnings.push(`1 % of the requests were sent ${latenessMs.toFixed(0)} ms or more after their moment: the load was less than asked for, or --max-concurrency held it back`)
  }
  return warnings
}
