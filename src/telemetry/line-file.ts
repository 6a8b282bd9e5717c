import { open } from 'node:fs/promises'
import type { Millis } from '../domain/ids.ts'
import { StartupError } from '../domain/startup-error.ts'
import { fileErrorText } from '../domain/file-error-text.ts'

/** Takes what becomes one line of JSON. Never throws and never blocks. */
export interface LineSink {
  append (entry: object): void
}

export interface LineFileOptions {
  readonly path: string
  /** Most bytes that wait while the file cannot be written; lines beyond are lost, and their number is told in the file. */
  readonly maxWaitingBytes: number
  /** Whether a line is to outlive the machine's power, and not just the process. */
  readonly isDurable: boolean
  readonly logger: {
    info (details: object, message: string): void
    error (details: object, message: string): void
  }
  /** Until a write that failed is tried again. */
  readonly retryMs?: Millis
}

/** Only the server's user may read what is in it. */
const fileMode = 0o600

/**
 * A file of JSON lines that only grows. It is opened anew for every write, so that whoever rotates logs may rename it or cut it whenever they
 * like, and needs no signal. What cannot be written waits and is tried again.
 */
export class LineFile implements LineSink {
  readonly #options: LineFileOptions
  #waiting: Buffer[] = []
  #waitingBytes = 0
  #lost = 0
  #isFailing = false
  #retry: NodeJS.Timeout | null = null
  #writing: Promise<void> | null = null

  constructor (options: LineFileOptions) {
    this.#options = options
  }

  /** @throws StartupError when the file cannot be written */
  async check (source: string): Promise<void> {
    try {
      await (await open(this.#options.path, 'a', fileMode)).close()
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      const reason = code === 'EACCES' || code === 'EPERM' || code === 'EROFS' ? 'this user may not write it' : code === 'ENOENT' ? 'its folder does not exist' : fileErrorText(error)
      throw new StartupError(`The file ${this.#options.path} (${source}) cannot be written: ${reason}`, { cause: error })
    }
  }

  append (entry: object): void {
    const line = Buffer.from(`${JSON.stringify(entry)}\n`)
    if (this.#waitingBytes + line.length > this.#options.maxWaitingBytes) {
      this.#lost++
    } else {
      this.#push(line)
    }
    if (this.#retry === null) this.#start()
  }

  /** Settles when all is written, or cannot be, or the time is up. */
  async close (limitMs: Millis): Promise<void> {
    if (this.#retry !== null) this.#start()
    let timer: NodeJS.Timeout | undefined
    await Promise.race([this.#writing, new Promise<void>((resolve) => { timer = setTimeout(resolve, limitMs) })])
    clearTimeout(timer)
    if (this.#retry !== null) clearTimeout(this.#retry)
  }

  #push (line: Buffer): void {
    this.#waiting.push(line)
    this.#waitingBytes += line.length
  }

  #start (): void {
    if (this.#retry !== null) clearTimeout(this.#retry)
    this.#retry = null
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = null
      // What came at the last moment.
      if (this.#waiting.length > 0 && this.#retry === null) this.#start()
    })
  }

  async #writeAll (): Promise<void> {
    const { path, isDurable, logger, retryMs = 1000 } = this.#options
    try {
      while (this.#waiting.length > 0) {
        const file = await open(path, 'a', fileMode)
        try {
          while (this.#waiting.length > 0) {
            await this.#writeTo(file)
            this.#tellLost()
          }
          if (isDurable) await file.datasync()
        } finally {
          await file.close()
        }
      }
      if (this.#isFailing) logger.info({ file: path }, 'lines are written to the file again')
      this.#isFailing = false
    } catch (error) {
      if (!this.#isFailing) logger.error({ file: path, reason: fileErrorText(error) }, 'lines cannot be written to the file, and wait')
      this.#isFailing = true
      this.#retry = setTimeout(() => this.#start(), retryMs).unref()
    }
  }

  /** Writes what waits; what a full disk leaves of it goes on waiting. */
  async #writeTo (file: Awaited<ReturnType<typeof open>>): Promise<void> {
    const bytes = Buffer.concat(this.#waiting)
    this.#waiting = [bytes]
    const { bytesWritten } = await file.write(bytes)
    // Lines may have come meanwhile.
    this.#waitingBytes -= bytesWritten
    if (bytesWritten === bytes.length) this.#waiting.shift()
    else this.#waiting[0] = bytes.subarray(bytesWritten)
  }

  #tellLost (): void {
    if (this.#lost === 0 || this.#waiting.length > 0) return
    this.#push(Buffer.from(`${JSON.stringify({ time: new Date().toISOString(), event: 'lines-lost', count: this.#lost })}\n`))
    this.#lost = 0
  }
}
