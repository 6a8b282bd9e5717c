import type { FastifyInstance } from 'fastify'
import { BatchJobs } from '../../batches/batch-jobs.ts'
import { BatchRunner } from '../../batches/batch-runner.ts'
import { BatchStore } from '../../batches/batch-store.ts'
import { FileStore } from '../../batches/files/file-store.ts'
import { LineStore } from '../../batches/line-store.ts'
import type { Database } from '../../access/storage/database.ts'
import { ServerError } from '../../domain/errors.ts'
import { createBatchCounts } from '../../telemetry/batch-metrics.ts'
import type { HttpServices } from '../services.ts'
import { capacityOf } from './line-capacity.ts'
import { parseLine } from './parse-line.ts'
import { createLineRunner } from './run-line.ts'

/** Batches, and the files that they are made of. */
export interface BatchService {
  readonly files: FileStore
  readonly batches: BatchStore
  /** To be called when there is something new to do. */
  readonly wake: () => void
  /** Runs lines through the routes of the app, until it closes or the server drains. */
  readonly start: (app: FastifyInstance) => void
  /** Removes what is not needed any more, a little at a time. Never rejects. */
  readonly sweep: () => Promise<void>
  /** Lets what has begun end. */
  readonly close: () => Promise<void>
}

export interface BatchServiceOptions {
  readonly database: Database
  readonly services: Pick<HttpServices, 'access' | 'adapters' | 'config' | 'internalRequests' | 'lifecycle' | 'logger' | 'metrics'>
  /** Milliseconds since 1970. */
  readonly now?: () => number
}

export function createBatchService ({ database, services, now = Date.now }: BatchServiceOptions): BatchService {
  const { access, adapters, config, internalRequests, lifecycle, logger, metrics } = services
  const { batchConcurrency, batchMaxLines, bodyLimit, fileQuota, fileTotalQuota, fileTtlMs, maxQueue } = config
  const quota = { perOwner: fileQuota, total: fileTotalQuota }
  const files = new FileStore({ database, quota, now })
  const batches = new BatchStore(database, now)
  const lines = new LineStore(database, quota, now)
  const jobs = new BatchJobs({
    batches, lines, files, recall: access.recall, parse: parseLine, maxLines: batchMaxLines, longestLine: bodyLimit, fileTtlMs: fileTtlMs === 'off' ? null : fileTtlMs
  })
  const counts = createBatchCounts()
  let runner: BatchRunner | null = null
  let sweeping: Promise<void> | null = null
  let isClosed = false
  const close = async (): Promise<void> => {
    isClosed = true
    await runner?.stop()
    await files.close()
    await sweeping
  }

  async function removeOld (): Promise<void> {
    try {
      await files.sweep()
      for (const id of await batches.withLeftovers()) if (!isClosed) await lines.remove(id)
    } catch (error) {
      logger.warn({ err: error }, 'old files could not be removed')
    }
  }

  return {
    files,
    batches,
    wake: () => runner?.wake(),
    start (app) {
      runner = new BatchRunner({
        batches,
        lines,
        jobs,
        runLine: createLineRunner(app, internalRequests),
        recall: access.recall,
        capacityOf: (model) => capacityOf(model, adapters, { batchConcurrency, maxQueue }),
        counts,
        logger,
        now
      })
      metrics.watchBatches(counts)
      // Whoever drains waits for the models, and these for the lines.
      lifecycle.onLeaving(() => { runner?.stop().catch(() => {}) })
      runner.start()
    },
    async sweep () {
      sweeping ??= removeOld().finally(() => { sweeping = null })
      await sweeping
    },
    close
  }
}

/**
 * @throws ServerError `route_not_found` where there are none
 */
export function batchesOf ({ batches }: Pick<HttpServices, 'batches'>): BatchService {
  if (batches === null) throw new ServerError('route_not_found', 'This server has no files and batches: they need a database (--data-dir, --database-url), and --batches on')
  return batches
}
