import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Caller, CallerIdentity } from '../access/caller.ts'
import { ServerError } from '../domain/errors.ts'
import { hasOneOf } from '../domain/scopes.ts'
import type { Batch, BatchEnding, BatchProblem } from './batch.ts'
import { isSuccess } from './batch-line.ts'
import type { BatchStore } from './batch-store.ts'
import { FileWriter } from './files/file-writer.ts'
import type { FileStore } from './files/file-store.ts'
import { InputCheck } from './input-check.ts'
import type { LineStore, NewLine } from './line-store.ts'
import { toResultLine } from './result-line.ts'
import { LineTooLongError, readLines } from './text-lines.ts'

export interface BatchJobsOptions {
  readonly batches: BatchStore
  readonly lines: LineStore
  readonly files: FileStore
  readonly recall: (identity: CallerIdentity) => Promise<Caller>
  /** @throws ServerError for what is no JSON, or such that it had better not be read */
  readonly parse: (text: string) => unknown
  readonly maxLines: number
  /** In characters. */
  readonly longestLine: number
  /** How long files are kept that do not say; null is for ever. */
  readonly fileTtlMs: number | null
}

/** Lines, and characters of them, that are written at once; while that is done no stream goes on where the database is SQLite. */
const groupLines = 100
const groupLength = 256 * 1024

/** Results that are in memory at once while files are written. */
const pageLines = 16

/** What is done to a batch as a whole: before its first line, and after its last one. */
export class BatchJobs {
  readonly #options: BatchJobsOptions

  constructor (options: BatchJobsOptions) {
    this.#options = options
  }

  /**
   * Looks at the input, and copies its lines to where they run from. What a server before has left of that is begun anew.
   * @returns whether it is good; null when it did not come to that
   */
  async validate (batch: Batch, worker: string, signal: AbortSignal): Promise<boolean | null> {
    const { batches, lines } = this.#options
    await lines.remove(batch.id)
    const check = new InputCheck({ endpoint: batch.endpoint, maxLines: this.#options.maxLines, parse: this.#options.parse })
    const problem = await this.#read(batch, check, signal)
    if (signal.aborted) return null
    const problems = problem === null ? check.problems : [problem]
    if (problems.length === 0) return await batches.begin(batch.id, worker, { total: check.count, model: check.model }) ? true : null
    await batches.reject(batch.id, worker, problems)
    await lines.remove(batch.id)
    return false
  }

  /** @returns what is wrong with the batch, rather than with lines of it */
  async #read (batch: Batch, check: InputCheck, signal: AbortSignal): Promise<BatchProblem | null> {
    const { files, lines, longestLine, recall } = this.#options
    const add = async (group: NewLine[]): Promise<void> => {
      // Once something is wrong none of it will run.
      if (check.problems.length === 0) await lines.add(batch.id, batch.owner, group)
      await nextTurn()
    }
    try {
      const caller = await recall(batch)
      if (!hasOneOf(caller.scopes, ['inference'])) throw new ServerError('permission_denied', 'The API key may not run models any more')
      const file = await files.find(batch.tenant, batch.inputFileId)
      if (file === null) throw new ServerError('file_not_found', 'The input file is no longer there', { param: 'input_file_id' })
      let group: NewLine[] = []
      let length = 0
      for await (const line of readLines(files.read(file.id), longestLine)) {
        if (signal.aborted || check.isHopeless) return null
        const good = check.take(line)
        if (good === null) continue
        group.push(good)
        length += good.request.length
        if (group.length < groupLines && length < groupLength) continue
        await add(group)
        group = []
        length = 0
      }
      check.end()
      await add(group)
      return null
    } catch (error) {
      if (error instanceof LineTooLongError) {
        check.noteTooLong(error.number, longestLine)
        return null
      }
      if (!(error instanceof ServerError) || error.code === 'storage_unavailable') throw error
      return { code: error.code, message: error.message, param: error.param ?? null, line: null }
    }
  }

  /**
   * Writes the files of a batch whose lines run no more. Files of a server before, which nobody has seen, are left to expire.
   * @returns how it ended; null when it did not come to that
   */
  async end (batch: Batch, worker: string, signal: AbortSignal): Promise<BatchEnding | null> {
    const { batches, files, lines, fileTtlMs } = this.#options
    const sealed = await batches.seal(batch.id, worker)
    if (sealed === null) return null
    const { ending } = sealed
    const writers = { output: new FileWriter(files, batch, false), error: new FileWriter(files, batch, false) }
    const written = { output: false, error: false }
    for (let after = 0, count = pageLines; count === pageLines;) {
      if (signal.aborted) return null
      const page = await lines.read(batch.id, after, pageLines)
      for (const line of page) {
        after = line.line
        // Those that were cancelled are in neither.
        if (line.result === null && ending !== 'expired') continue
        const kind = line.result !== null && isSuccess(line.result.statusCode) ? 'output' : 'error'
        await writers[kind].write(toResultLine(batch.id, line))
        written[kind] = true
      }
      count = page.length
      await nextTurn()
    }
    const ids = { output: written.output ? await writers.output.end() : null, error: written.error ? await writers.error.end() : null }
    const isMine = await batches.finish(batch.id, worker, ending, async (queries) => {
      for (const kind of ['output', 'error'] as const) {
        const id = ids[kind]
        if (id !== null) await files.publish(id, { purpose: 'batch_output', filename: `${batch.id}_${kind}.jsonl`, ttlMs: batch.outputTtlMs ?? fileTtlMs }, queries)
      }
      return { outputFileId: ids.output, errorFileId: ids.error }
    })
    if (!isMine) {
      for (const writer of Object.values(writers)) await writer.discard()
      return null
    }
    await lines.remove(batch.id)
    return ending
  }
}
