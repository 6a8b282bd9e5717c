import { availableParallelism, cpus, loadavg, totalmem } from 'node:os'

/** Where and when a report was made. Nothing in it names the host or its user. */
export interface Machine {
  /** ISO 8601, in UTC. */
  readonly date: string
  readonly node: string
  readonly platform: string
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  /** Runnable processes, averaged over the minute before the start: other people's work on the same cores. */
  readonly loadAverage: number
}

export function describeMachine (): Machine {
  return {
    date: new Date().toISOString(),
    node: process.version,
    platform: `${process.platform} ${process.arch}`,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    loadAverage: Number((loadavg()[0] ?? 0).toFixed(2))
  }
}
