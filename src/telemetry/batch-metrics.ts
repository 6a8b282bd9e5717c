import { Counter, Gauge, type Registry } from 'prom-client'

/** What was done since the start, and what there is to do in all servers of the database. */
export interface BatchCounts {
  /** Lines. */
  completed: number
  failed: number
  retried: number
  waiting: number
  /** Batches that have not ended, by status. */
  readonly open: { validating: number, in_progress: number, finalizing: number, cancelling: number }
  /** Batches that this server has brought to their end. */
  readonly ended: { completed: number, failed: number, expired: number, cancelled: number }
}

export const createBatchCounts = (): BatchCounts => ({
  completed: 0,
  failed: 0,
  retried: 0,
  waiting: 0,
  open: { validating: 0, in_progress: 0, finalizing: 0, cancelling: 0 },
  ended: { completed: 0, failed: 0, expired: 0, cancelled: 0 }
})

/** Adds the metrics of batches; they are 0 until there is something to watch. @returns what says what that is */
export function createBatchMetrics (registry: Registry): (counts: BatchCounts) => void {
  const registers = [registry]
  let counts = createBatchCounts()

  const batches: Gauge = new Gauge({
    name: 'drawbridge_batches',
    help: 'Batches that have not ended, in the whole database',
    labelNames: ['status'],
    registers,
    collect: () => { for (const [status, count] of Object.entries(counts.open)) batches.set({ status }, count) }
  })
  const ended: Counter = new Counter({
    name: 'drawbridge_batches_ended_total',
    help: 'Batches that this server has brought to their end',
    labelNames: ['status'],
    registers,
    collect () {
      ended.reset()
      for (const [status, count] of Object.entries(counts.ended)) ended.inc({ status }, count)
    }
  })
  const waiting: Gauge = new Gauge({
    name: 'drawbridge_batch_lines_waiting',
    help: 'Lines of batches without a result, in the whole database, those that run included',
    registers,
    collect: () => { waiting.set(counts.waiting) }
  })
  const lines: Counter = new Counter({
    name: 'drawbridge_batch_lines_total',
    help: 'Lines of batches that this server has run; `retried` is to run again',
    labelNames: ['outcome'],
    registers,
    collect () {
      lines.reset()
      for (const outcome of ['completed', 'failed', 'retried'] as const) lines.inc({ outcome }, counts[outcome])
    }
  })
  return (watched) => { counts = watched }
}
