import { write } from 'node:fs'
import type { Millis } from '../domain/ids.ts'

/** Most text that waits for a reader that does not read; lines beyond it are dropped. */
const maxWaitingLength = 4 * 1024 ** 2
const retryMs = 50

type WriteFile = (fd: number, data: Buffer, done: (error: NodeJS.ErrnoException | null, written: number) => void) => void

/**
 * Writes log lines to a file descriptor, off the event loop and one write at a time. A full disk, or a terminal or pipe
 * that nobody reads, costs lines of the log and nothing else: it never blocks a request and never throws.
 *
 * (pino's own destination either blocks the event loop or, at the exit, tries a full disk for ever.)
 */
export class LogOutput {
  readonly #fd: number
  readonly #writeFile: WriteFile
  #waiting = ''
  #isWriting = false
  #settled: (() => void)[] = []

  constructor (fd: number, writeFile: WriteFile = write) {
    this.#fd = fd
    this.#writeFile = writeFile
  }

  /** Takes whole lines. */
  write (lines: string): void {
    if (this.#waiting.length < maxWaitingLength) this.#waiting += lines
    if (!this.#isWriting) this.#next()
  }

  /** Settles when all that was taken is written, or when the time is up. */
  async settle (limitMs: Millis): Promise<void> {
    if (!this.#isWriting) return
    let timer: NodeJS.Timeout | undefined
    await Promise.race([
      new Promise<void>((resolve) => { this.#settled.push(resolve) }),
      new Promise<void>((resolve) => { timer = setTimeout(resolve, limitMs) })
    ])
    clearTimeout(timer)
  }

  #next (): void {
    this.#isWriting = this.#waiting !== ''
    if (!this.#isWriting) {
      for (const resolve of this.#settled.splice(0)) resolve()
      return
    }
    const data = Buffer.from(this.#waiting)
    this.#waiting = ''
    this.#write(data)
  }

  #write (data: Buffer): void {
    this.#writeFile(this.#fd, data, (error, written) => {
      if (error?.code === 'EAGAIN') {
        setTimeout(() => this.#write(data), retryMs).unref()
      } else if (error === null && written < data.length) {
        this.#write(data.subarray(written))
      } else {
        this.#next()
      }
    })
  }
}
