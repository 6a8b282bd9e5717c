import type { RunLimit } from './load/load-shape.ts'
import type { LoadProgress } from './load/run-load.ts'
import type { BenchRun } from './report/bench-run.ts'
import { formatNumber } from './report/table.ts'
import type { RunObserver } from './run-bench.ts'

const intervalMs = 200
/** Of a terminal that does not tell how wide it is: its columns are undefined, or 0. */
const usualColumns = 80

/** Tells on stderr how a run goes: on a terminal one line that changes, elsewhere a line at the end of each run. */
export class ProgressLine implements RunObserver, Disposable {
  readonly #stream: NodeJS.WriteStream
  #title = ''
  #limit: RunLimit = { type: 'requests', count: 0 }
  #startedAt = 0
  #writtenAt = 0

  constructor (stream: NodeJS.WriteStream) {
    this.#stream = stream
  }

  readonly onRunStart = (title: string, limit: RunLimit): void => {
    this.#title = title
    this.#limit = limit
    this.#startedAt = performance.now()
    this.note(title)
  }

  readonly onProgress = ({ sent, running, failed, outputTokens }: LoadProgress): void => {
    const now = performance.now()
    if (now - this.#writtenAt < intervalMs) return
    const seconds = (now - this.#startedAt) / 1000
    const goal = this.#limit.type === 'requests' ? `${sent}/${this.#limit.count} sent` : `${seconds.toFixed(0)}/${this.#limit.ms / 1000} s, ${sent} sent`
    this.note(`${this.#title} · ${goal}, ${running} running${failed === 0 ? '' : `, ${failed} failed`}, ${formatNumber(outputTokens / seconds)} tokens/s`)
  }

  readonly onRunEnd = (run: BenchRun): void => {
    this.#clear()
    this.#stream.write(`${this.#title}: ${run.completed} completed, ${run.failed} failed, ${formatNumber(run.output_throughput)} tokens/s\n`)
  }

  /** Shows a text until the next one; only on a terminal. */
  note (text: string): void {
    if (!this.#stream.isTTY) return
    this.#writtenAt = performance.now()
    this.#clear()
    // One that goes on in a second line is not cleared by the next.
    this.#stream.write(text.slice(0, Math.max(1, (this.#stream.columns || usualColumns) - 1)))
  }

  [Symbol.dispose] (): void { this.#clear() }

  #clear (): void { if (this.#stream.isTTY) this.#stream.write('\r\x1b[2K') }
}
