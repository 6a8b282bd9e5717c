import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'
import type { BenchReport } from './bench-run.ts'

/** Where the load generator runs. Nothing in it names the host or its user. */
export function describeMachine (version: string): BenchReport['machine'] {
  return {
    date: new Date().toISOString(),
    version,
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    loadAverage: Number((loadavg()[0] ?? 0).toFixed(2))
  }
}
